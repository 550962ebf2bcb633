//! Definition and catalog to graph.
