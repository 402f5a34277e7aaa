"""An Express server with a React client."""

FILES = {
    "package.json": '{\n  "dependencies": {\n    "express": "4.18.0",\n    "react": "18.2.0"\n  }\n}\n',
    "server/index.ts": """import express from 'express';
import { api } from './routes';

const app = express();
const port = 9233;
app.use('/api', api);
app.listen(port);
""",
    "server/routes/index.ts": "export { router as api } from './engines';\n",
    "server/routes/engines.ts": """import { Router } from 'express';
import { fireEngine, proxy } from '../handlers';
import { requireCrew } from '../guards';

const router = Router();

router.get('/engines/:id', requireCrew, proxy('/upstream/engines/:id'));
router.post('/engines/:id/fire', fireEngine);
router.delete('/engines/:id', (req, res) => res.send());

export { router };
""",
    "server/guards.ts": "export const requireCrew = () => undefined;\n",
    "server/handlers.ts": """import type { Phase } from '../shared/phase';
import { LIMIT } from '../shared/phase';

export function fireEngine(heat: number, mode: Phase = 'idle') {
	if (heat > LIMIT) {
		throw new Error('The engine is too hot');
	}
	try {
		throw new Error('Nobody hears it');
	} catch {
		return process.env.ROCKET_REGION || 'eu';
	}
}

/** Passes a request on to the control room. */
export const proxy = (path: string) => () => path;
""",
    "shared/phase.ts": """export type Phase = 'idle' | 'burning' | 'spent';
export const LIMIT = 900;
export enum Colour {
	RED = 'red',
	GREEN = 'green',
}
export interface Reading {
	celsius: number;
	sensor?: string;
}
export interface NamedReading extends Reading {
	name: string;
}
export const switches = {
	lights: true,
	siren: false,
};
""",
    "client/Shell.tsx": """import { lazy } from 'react';
import { Route, Routes } from 'react-router-dom';
import { Dial } from './Dial';

const EnginePage = lazy(() => import('./EnginePage'));

export const Shell = () => (
	<Routes>
		<Route path="/" element={<Dial />} />
		<Route path="/engines" element={<EnginePage />}>
			<Route path=":id" element={<Dial />} />
		</Route>
	</Routes>
);
""",
    "client/router.ts": "import { createRouter } from 'vue-router';\n\nexport const router = createRouter({\n"
    "\troutes: [{ path: '/crew', component: () => import('./CrewList.vue') }],\n});\n",
    "client/Dial.tsx": "export const Dial = ({ size = 12 }: { size?: number }) => <svg width={size} />;\n",
    "client/EnginePage.tsx": """import { Dial } from './Dial';
import { load } from './load';

const EnginePage = (props: { load?: boolean }) => {
	load('1');
	return <Dial />;
};
export default EnginePage;

export const Other = ({ load }: { load: (id: string) => void }) => {
	load('2');
	return <Dial />;
};
""",
    "client/load.ts": """export const load = (id: string) => fetch(`/api/engines/${id}`);
export const fire = (id: string) => fetch(`/api/engines/${id}/fire`, { method: 'POST' });
""",
    "client/__tests__/load.test.ts": """import { load } from '../load';

describe('load', () => {
	it('asks the server', () => {
		expect(load('1')).toBeDefined();
	});
	it('gives a promise', () => {
		expect(load('1')).toBeInstanceOf(Promise);
	});
});
""",
}

FACTS = {
    ("ui-route", "/crew"): {"CrewList"},
    ("route", "GET /api/engines/:id"): {"proxy"},
    ("route", "POST /api/engines/:id/fire"): {"fireEngine"},
    ("route-upstream", "GET /api/engines/:id"): {"/upstream/engines/:id"},
    ("route-guard", "GET /api/engines/:id"): {"requireCrew"},
    ("route-methods", "/api/engines/:id"): {"GET", "DELETE"},
    ("route-file", "DELETE /api/engines/:id"): {"server/routes/engines.ts"},
    ("handler-route", "fireEngine"): {"POST /api/engines/:id/fire"},
    ("endpoint-caller", "GET /api/engines/:id"): {"load"},
    ("endpoint-use", "fire"): {"POST /api/engines/:id/fire"},
    ("ui-route", "/engines"): {"EnginePage"},
    ("ui-route", "/engines/:id"): {"Dial"},
    ("page-address", "EnginePage"): {"/engines"},
    ("rendered-by", "Dial"): {"Shell", "EnginePage", "Other"},
    ("renders", "Shell"): {"Dial", "EnginePage"},
    ("caller", "load"): {"EnginePage"},
    ("union", "Phase"): {"idle", "burning", "spent"},
    ("enum", "Colour"): {"RED", "GREEN"},
    ("enum-value", "Colour"): {"red", "green"},
    ("type", "Reading"): {"celsius", "sensor"},
    ("optional-fields", "Reading"): {"sensor"},
    ("hierarchy", "NamedReading"): {"Reading"},
    ("subclasses", "Reading"): {"NamedReading"},
    ("value", "LIMIT"): {"900"},
    ("table-keys", "switches"): {"lights", "siren"},
    ("table-entry", "switches"): {"true", "false"},
    ("default", "fireEngine"): {"idle"},
    ("default", "Dial"): {"12"},
    ("error", "fireEngine"): {"heat > LIMIT"},
    ("error-origin", "The engine is too hot"): {"fireEngine"},
    ("environment", "ROCKET_REGION"): {"server/handlers.ts"},
    ("environment-default", "ROCKET_REGION"): {"eu"},
    ("purpose", "proxy"): {"Passes a request on to the control room."},
    ("port", "server/index.ts"): {"9233"},
    ("behaviour", "load"): {"asks the server", "gives a promise"},
    ("dependency-users", "express"): {"server/index.ts", "server/routes/engines.ts"},
}
ABSENT = {("calls", "Other"), ("error-origin", "Nobody hears it")}
