//! The plugin interface as Rust: generated from `wit/0.1`.

wasmtime::component::bindgen!({
    path: "../wit/0.1",
    world: "agent",
    imports: {
        "weir:plugin/tools.call": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
