"""An ASP.NET service."""

FILES = {
    "Rocket/EnginesController.cs": """using Rocket.Fuel;

namespace Rocket;

[ApiController]
[Route("api/[controller]")]
public class EnginesController : ControllerBase
{
    private const int LimitCelsius = 900;

    [HttpGet("{id}")]
    public string Show(int id)
    {
        var tank = new Tank();
        return tank.ToString();
    }

    [HttpPost("{id}/fire")]
    public void Fire(int id, bool gentle = false)
    {
        if (id > LimitCelsius)
        {
            throw new ArgumentException("the engine is too hot");
        }
        var region = Environment.GetEnvironmentVariable("ROCKET_REGION");
    }
}
""",
    "Rocket/Fuel/Tank.cs": """namespace Rocket.Fuel
{
    /// <summary>
    /// Holds what one stage burns up.
    /// </summary>
    public class Tank : IContainer
    {
        public string Name { get; set; }
        public int Litres { get; set; } = 3;
    }

    public interface IContainer { }

    public enum Grade { Coarse, Fine = 2 }
}
""",
    "Rocket.Tests/TankTests.cs": """namespace Rocket.Tests;

public class TankTests
{
    [Fact]
    public void KnowsItsName()
    {
        Assert.Equal("a", new Tank().Name);
    }
}
""",
}

FACTS = {
    ("route", "GET /api/Engines/{id}"): {"Show"},
    ("route", "POST /api/Engines/{id}/fire"): {"Fire"},
    ("hierarchy", "Rocket.Fuel.Tank"): {"IContainer"},
    ("type", "Tank"): {"Name", "Litres"},
    ("enum", "Grade"): {"Coarse", "Fine"},
    ("enum-value", "Grade"): {"2"},
    ("error-origin", "the engine is too hot"): {"EnginesController.Fire"},
    ("environment", "ROCKET_REGION"): {"Rocket/EnginesController.cs"},
    ("test-checks", "KnowsItsName"): {'Assert.Equal("a", new Tank().Name)'},
}
ABSENT: set[tuple[str, str]] = set()
