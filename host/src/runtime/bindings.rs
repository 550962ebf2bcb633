//! The plugin interface as Rust: generated from `wit/0.1`.

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "agent",
    imports: {
        "weir:plugin/context.budget": async | trappable,
        "weir:plugin/http.send": async | trappable,
        "weir:plugin/kv.compare-and-set": async | trappable,
        "weir:plugin/kv.delete": async | trappable,
        "weir:plugin/kv.get": async | trappable,
        "weir:plugin/kv.keys": async | trappable,
        "weir:plugin/kv.set": async | trappable,
        "weir:plugin/model.[method]chat.send": async | trappable,
        "weir:plugin/tools.call": async | trappable,
        "weir:plugin/tools.call-all": async | trappable,
        "weir:plugin/tools.list": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: { "weir:plugin/model.chat": super::imports::model::Chat },
    ownership: Borrowing { duplicate_if_necessary: true },
});
