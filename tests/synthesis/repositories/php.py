"""A Laravel application."""

FILES = {
    "routes/api.php": """<?php

use App\\Http\\EngineController;
use Illuminate\\Support\\Facades\\Route;

Route::get('/engines/{id}', [EngineController::class, 'show']);
Route::post('/engines/{id}/fire', [EngineController::class, 'fire']);
""",
    "app/Http/EngineController.php": """<?php

namespace App\\Http;

use App\\Fuel\\Tank;

class EngineController extends Controller
{
    const LIMIT_CELSIUS = 900;

    public function show(int $id, string $mode = 'gentle')
    {
        return new Tank();
    }

    public function fire(int $heat)
    {
        if ($heat > self::LIMIT_CELSIUS) {
            throw new RuntimeException('the engine is too hot');
        }
        return getenv('ROCKET_REGION');
    }
}
""",
    "app/Fuel/Tank.php": """<?php

namespace App\\Fuel;

/** Holds what one stage burns up. */
class Tank implements Container
{
    public string $name;
    public int $litres = 3;
}

enum Grade: string
{
    case Coarse = 'c';
    case Fine = 'f';
}
""",
}

FACTS = {
    ("route", "GET /engines/{id}"): {"EngineController::show"},
    ("route", "POST /engines/{id}/fire"): {"EngineController::fire"},
    ("hierarchy", "EngineController"): {"Controller"},
    ("hierarchy", "Tank"): {"Container"},
    ("type", "Tank"): {"name", "litres"},
    ("enum", "Grade"): {"Coarse", "Fine"},
    ("enum-value", "Grade"): {"c", "f"},
    ("default", "EngineController.show"): {"gentle"},
    ("error", "EngineController.fire"): {"$heat > self::LIMIT_CELSIUS"},
    ("error-origin", "the engine is too hot"): {"EngineController.fire"},
    ("environment", "ROCKET_REGION"): {"app/Http/EngineController.php"},
    ("purpose", "Tank"): {"Holds what one stage burns up."},
}
ABSENT: set[tuple[str, str]] = set()
