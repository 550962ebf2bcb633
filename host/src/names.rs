//! Names and versions of plugins and tools. Pure.

/// The most bytes of a plugin's or a tool's name.
const NAME_BYTES_MAX: usize = 64;
const VERSION_BYTES_MAX: usize = 64;

/// Whether `text` is a name as plugins, tools and failure codes have them: `[a-z][a-z0-9_]{0,63}`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    text.len() <= NAME_BYTES_MAX
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Whether `text` is a version: `1.2.3`, `1.2.3-rc.1+build`.
#[must_use]
pub fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let numbers: Vec<&str> = core.split('.').collect();
    let labels = |labels: &str| {
        labels.split('.').all(|l| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    text.len() <= VERSION_BYTES_MAX
        && numbers.len() == 3
        && numbers.into_iter().all(is_number)
        && pre.is_none_or(labels)
        && build.is_none_or(labels)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// Whether `text` names a tool: `plugin.tool`, `tool`, either with `@version`.
#[must_use]
pub fn is_tool_reference(text: &str) -> bool {
    let (path, version) = text.split_once('@').map_or((text, None), |(path, version)| (path, Some(version)));
    let parts: Vec<&str> = path.split('.').collect();
    parts.len() <= 2 && parts.into_iter().all(is_name) && version.is_none_or(is_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_names_are_read_strictly() {
        for version in ["0.1.0", "1.2.3-rc.1+b-7", "10.0.0+x"] {
            assert!(is_version(version), "{version}");
        }
        for version in ["1.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "v1.0.0", "1.0.0 ", ""] {
            assert!(!is_version(version), "{version}");
        }
        assert!(is_name("a1_b") && !is_name("1a") && !is_name("a-b") && !is_name("") && !is_name(&"a".repeat(65)));
        assert!(is_tool_reference("a.b@1.2.3") && is_tool_reference("b") && !is_tool_reference("a.b.c"));
    }
}
