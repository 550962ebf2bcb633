//! The model `default` from the environment, for a host without a configuration file.

use anyhow::Context as _;

use super::Config;
use crate::{
    egress::HostPort,
    models::{KeySource, ModelConfig, Provider},
};

/// Where an OpenAI-compatible API is: `http://localhost:11434/v1`.
const MODEL_URL_VARIABLE: &str = "WEIR_MODEL_URL";
/// The model's name there.
const MODEL_NAME_VARIABLE: &str = "WEIR_MODEL_NAME";
/// The key, if one is needed.
const MODEL_KEY_VARIABLE: &str = "WEIR_MODEL_KEY";
/// The alias that these variables make.
const ALIAS: &str = "default";

impl Config {
    /// Adds the model `default` that the variables `WEIR_MODEL_URL`, `WEIR_MODEL_NAME` and `WEIR_MODEL_KEY`
    /// name, unless there is one of that name. Whoever starts the host with the URL of a model on
    /// this machine means that it may be reached, so its host and port are allowed.
    ///
    /// # Errors
    /// One of the variables is missing, or cannot work.
    pub fn add_model_of_environment(&mut self, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        let set = |name| variable(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let Some(url) = set(MODEL_URL_VARIABLE).filter(|_| !self.models.contains_key(ALIAS)) else { return Ok(()) };
        let name = set(MODEL_NAME_VARIABLE)
            .with_context(|| format!("{MODEL_URL_VARIABLE} is set: name the model in {MODEL_NAME_VARIABLE}"))?;
        let key = set(MODEL_KEY_VARIABLE).map(|_| KeySource::Env(MODEL_KEY_VARIABLE.to_owned()));
        let model = ModelConfig { base_url: Some(url.clone()), key, ..ModelConfig::new(Provider::Openai, &name) };
        model.check(ALIAS).with_context(|| format!("could not use {MODEL_URL_VARIABLE}"))?;
        if let Some(target) = url::Url::parse(&url).ok().as_ref().and_then(HostPort::of_url)
            && !self.egress.allow.contains(&target)
        {
            self.egress.allow.push(target);
        }
        self.models.insert(ALIAS.to_owned(), model);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        let mut config = Config::default();
        let find = |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        config.add_model_of_environment(find).map(|()| config)
    }

    #[test]
    fn the_environment_makes_a_model_that_may_be_reached() {
        let url = (MODEL_URL_VARIABLE, "http://localhost:11434/v1");
        let config = config_of(&[url, (MODEL_NAME_VARIABLE, "qwen3")]).unwrap();
        let model = &config.models[ALIAS];
        assert_eq!((model.provider, model.model.as_str(), &model.key), (Provider::Openai, "qwen3", &None));
        assert_eq!(config.egress.allow, ["localhost:11434".parse().unwrap()]);
        let keyed = config_of(&[url, (MODEL_NAME_VARIABLE, "m"), (MODEL_KEY_VARIABLE, "k")]).unwrap();
        assert_eq!(keyed.models[ALIAS].key, Some(KeySource::Env(MODEL_KEY_VARIABLE.to_owned())));
        assert!(config_of(&[]).unwrap().models.is_empty());
        assert!(config_of(&[url]).unwrap_err().to_string().contains(MODEL_NAME_VARIABLE));
        assert!(config_of(&[(MODEL_URL_VARIABLE, "nowhere"), (MODEL_NAME_VARIABLE, "m")]).is_err());
    }

    #[test]
    fn a_model_of_the_file_is_stronger() {
        let mut config = Config::default();
        config.models.insert(ALIAS.to_owned(), ModelConfig::new(Provider::Ollama, "own"));
        config.add_model_of_environment(|_| Some("http://localhost:1/v1".to_owned())).unwrap();
        assert_eq!(config.models[ALIAS].model, "own");
        assert!(config.egress.allow.is_empty());
    }
}
