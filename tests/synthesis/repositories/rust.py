"""A Rust crate with axum."""

FILES = {
    "Cargo.toml": '[package]\nname = "rocket"\nversion = "0.1.0"\n\n[dependencies]\naxum = "0.7"\n',
    "src/main.rs": """mod fuel;
mod engine;

use axum::Router;
use crate::engine::{ignite, show as display};

fn build() -> Router {
    Router::new()
        .route("/engines/:id", get(display).post(ignite))
}

fn main() {
    let region = std::env::var("ROCKET_REGION");
    build();
}
""",
    "src/engine.rs": """use crate::fuel::{measure, Tank};

pub const LIMIT: u32 = 900;

/// Tells which engine is running now.
pub fn show() -> u32 {
    measure(&Tank { name: String::new(), litres: 3 })
}

pub fn ignite(heat: u32) -> Result<u32, Fault> {
    if heat > LIMIT {
        return Err(Fault::TooHot);
    }
    Ok(heat)
}

pub enum Fault {
    TooHot,
    Stuck(u8),
}

pub trait Startable {
    fn start(&self);
}

pub struct Engine {
    pub stage: u8,
    pub tank: Tank,
}

impl Startable for Engine {
    fn start(&self) {}
}
""",
    "src/fuel.rs": """pub struct Tank {
    pub name: String,
    pub litres: u32,
}

pub fn measure(tank: &Tank) -> u32 {
    halve(tank.litres)
}

fn halve(litres: u32) -> u32 {
    litres / 2
}

#[cfg(test)]
mod tests {
    #[test]
    fn halves() {
        assert_eq!(super::halve(4), 2);
    }
}
""",
}

FACTS = {
    ("route", "GET /engines/:id"): {"display"},
    ("route", "POST /engines/:id"): {"ignite"},
    ("caller", "measure"): {"show"},
    ("calls", "show"): {"measure"},
    ("type", "Tank"): {"name", "litres"},
    ("type", "Engine"): {"stage", "tank"},
    ("enum", "Fault"): {"TooHot", "Stuck"},
    ("value", "LIMIT"): {"900"},
    ("error", "ignite"): {"heat > LIMIT"},
    ("environment", "ROCKET_REGION"): {"src/main.rs"},
    ("purpose", "show"): {"Tells which engine is running now."},
    ("dependency-users", "axum"): {"src/main.rs"},
}
ABSENT: set[tuple[str, str]] = set()
