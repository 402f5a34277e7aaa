"""A Rails application with a Sinatra part."""

FILES = {
    "config/routes.rb": """Rails.application.routes.draw do
  get '/engines/:id', to: 'engines#show'
  post '/engines/:id/fire', to: 'engines#fire'
end
""",
    "lib/engine.rb": """module Rocket
  # Burns what the tank gives to it.
  class Engine < Part
    LIMIT_CELSIUS = 900

    def fire(heat, mode: 'gentle')
      raise TooHot, 'the engine is too hot' if heat > LIMIT_CELSIUS
      ENV.fetch('ROCKET_REGION', 'eu')
    end
  end

  class TooHot < StandardError
  end

  class Part
  end
end
""",
    "spec/engine_spec.rb": """describe 'Engine' do
  it 'refuses when hot' do
    expect(Engine.new.fire(3)).to be_nil
  end

  it 'fires when told to' do
    expect(Engine.new).to be_truthy
  end
end
""",
}

FACTS = {
    ("route", "GET /engines/:id"): {"engines#show"},
    ("route", "POST /engines/:id/fire"): {"engines#fire"},
    ("hierarchy", "Rocket.Engine"): {"Part"},
    ("value", "Rocket.Engine.LIMIT_CELSIUS"): {"900"},
    ("default", "Rocket.Engine.fire"): {"gentle"},
    ("error", "Rocket.Engine.fire"): {"heat > LIMIT_CELSIUS"},
    ("error-origin", "the engine is too hot"): {"Rocket.Engine.fire"},
    ("environment-default", "ROCKET_REGION"): {"eu"},
    ("behaviour", "Engine"): {"refuses when hot", "fires when told to"},
}
ABSENT: set[tuple[str, str]] = set()
