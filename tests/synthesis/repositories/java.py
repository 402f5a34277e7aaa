"""A Spring service in Java and Kotlin."""

FILES = {
    "src/main/java/com/rocket/Engine.java": """package com.rocket;

import com.rocket.fuel.Tank;

/** Burns what the tank gives to it. */
public class Engine extends Part implements Startable {
    public static final int LIMIT_CELSIUS = 900;
    private final Tank tank;
    private String label;

    public Engine(Tank tank) {
        this.tank = tank;
    }

    public void fire(int heat) {
        if (heat > LIMIT_CELSIUS) {
            throw new IllegalStateException("the engine is too hot");
        }
        warm(heat);
        String region = System.getenv("ROCKET_REGION");
    }

    private void warm(int heat) {
    }
}
""",
    "src/main/java/com/rocket/Part.java": "package com.rocket;\n\npublic abstract class Part {\n}\n",
    "src/main/java/com/rocket/Startable.java": "package com.rocket;\n\npublic interface Startable {\n}\n",
    "src/main/java/com/rocket/fuel/Tank.java": """package com.rocket.fuel;

public record Tank(String name, int litres) {
}
""",
    "src/main/java/com/rocket/fuel/Grade.java": """package com.rocket.fuel;

public enum Grade {
    COARSE, FINE
}
""",
    "src/main/java/com/rocket/EngineController.java": """package com.rocket;

import com.rocket.fuel.Tank;
import org.springframework.web.bind.annotation.*;

@RestController
@RequestMapping("/engines")
public class EngineController {
    @GetMapping("/{id}")
    public String show(int id) {
        return new Engine(new Tank("a", 1)).toString();
    }

    @PostMapping("/{id}/fire")
    public void ignite(int id) {
    }
}
""",
    "src/main/kotlin/com/rocket/Pilot.kt": """package com.rocket

import com.rocket.fuel.Grade

const val CREW_SIZE = 3

enum class Rank { CADET, CAPTAIN }

data class Pilot(val title: String, val rank: Rank)

class Captain(val engine: Engine) : Startable {
    fun board(grade: Grade): Int {
        if (CREW_SIZE < 1) {
            throw IllegalArgumentException("nobody is on board")
        }
        return 1
    }
}
""",
    "src/test/java/com/rocket/EngineTest.java": """package com.rocket;

class EngineTest {
    @Test
    void refusesWhenHot() {
        assertThrows(IllegalStateException.class, () -> new Engine(null).fire(1000));
    }
}
""",
}

FACTS = {
    ("route", "GET /engines/{id}"): {"show"},
    ("route", "POST /engines/{id}/fire"): {"ignite"},
    ("hierarchy", "Engine"): {"Part", "Startable"},
    ("subclasses", "Startable"): {"Engine", "Captain"},
    ("type", "Tank"): {"name", "litres"},
    ("type", "Pilot"): {"title", "rank"},
    ("enum", "Grade"): {"COARSE", "FINE"},
    ("enum", "Rank"): {"CADET", "CAPTAIN"},
    ("error", "Engine.fire"): {"heat > LIMIT_CELSIUS"},
    ("error", "Captain.board"): {"CREW_SIZE < 1"},
    ("error-origin", "the engine is too hot"): {"Engine.fire"},
    ("environment", "ROCKET_REGION"): {"src/main/java/com/rocket/Engine.java"},
    ("value", "CREW_SIZE"): {"3"},
    ("purpose", "Engine"): {"Burns what the tank gives to it."},
    ("affected-files", "Tank"): {
        "src/main/java/com/rocket/Engine.java",
        "src/main/java/com/rocket/EngineController.java",
    },
    ("test-checks", "refusesWhenHot"): {"assertThrows(IllegalStateException.class, () -> new Engine(null).fire(1000))"},
}
ABSENT: set[tuple[str, str]] = set()
