"""A Go module with two packages."""

FILES = {
    "go.mod": "module example.com/rocket\n\ngo 1.22\n\nrequire github.com/gorilla/mux v1.8.1\n",
    "main.go": """package main

import (
	"net/http"
	"os"

	"example.com/rocket/fuel"
	"github.com/gorilla/mux"
)

// DefaultStage is the stage that fires first.
const DefaultStage = 2

const MaxStages = 5

func launch(w http.ResponseWriter, r *http.Request) {
	level := fuel.Measure(DefaultStage)
	if err := fuel.Check(level); err != nil {
		abort(w, err)
	}
}

func abort(w http.ResponseWriter, err error) {
	http.Error(w, err.Error(), 500)
}

func shadow(abort func()) {
	abort()
}

func main() {
	region := os.Getenv("ROCKET_REGION")
	router := mux.NewRouter()
	router.HandleFunc("/launch/{id}", launch).Methods("POST")
	http.HandleFunc("GET /health", health)
	println(region)
}

func health(w http.ResponseWriter, r *http.Request) {}
""",
    "fuel/tank.go": """package fuel

import "errors"

// Tank holds what one stage burns.
type Tank struct {
	Name   string
	Litres int
	Valves []Valve
}

type Valve struct {
	Open bool
	Size float64
}

// Measure tells how full the tank of a stage is.
func Measure(stage int) int {
	return half(stage)
}

func half(stage int) int { return stage / 2 }

func Check(level int) error {
	if level < 1 {
		return nil, errors.New("the tank is empty now")
	}
	return nil
}
""",
    "fuel/tank_test.go": """package fuel

import "testing"

func TestMeasure(t *testing.T) {
	assert.Equal(t, 1, Measure(2))
}
""",
}

FACTS = {
    ("route", "POST /launch/{id}"): {"launch"},
    ("route", "GET /health"): {"health"},
    ("caller", "Measure"): {"launch"},
    ("calls", "launch"): {"Measure", "Check", "abort"},
    ("type", "Tank"): {"Name", "Litres", "Valves"},
    ("value", "DefaultStage"): {"2"},
    ("value", "MaxStages"): {"5"},
    ("environment", "ROCKET_REGION"): {"main.go"},
    ("error", "Check"): {"level < 1"},
    ("error-origin", "the tank is empty now"): {"Check"},
    ("purpose", "Tank"): {"Tank holds what one stage burns."},
    ("purpose", "Measure"): {"Measure tells how full the tank of a stage is."},
    ("dependency-users", "github.com/gorilla/mux"): {"main.go"},
    ("tested-by", "Measure"): {"fuel/tank_test.go"},
    ("test-checks", "TestMeasure"): {"assert.Equal(t, 1, Measure(2))"},
}
ABSENT = {("caller", "abort"), ("caller", "half"), ("calls", "shadow")}
