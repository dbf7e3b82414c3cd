// Jest for every package: TypeScript as Node runs it, ES modules, sources instead of builds. The end-to-end flows run twice: with the embedded
// registry and development certificates, and over a real Consul. `--selectProjects flows` picks one of the runs.
import { fileURLToPath } from 'node:url';

const FLOWS = '/apps/e2e/src/flows/';
const FLOW_SPECS = `**${FLOWS}**/*.spec.ts`;
/** Specs that start a Consul by themselves have nothing to run twice. */
const CONSUL_SPECS = `${FLOWS}consul[^/]*\\.spec\\.ts$`;
const IGNORED = ['/node_modules/', '/dist/'];
const pathTo = (file) => fileURLToPath(new URL(file, import.meta.url));

const project = {
  modulePathIgnorePatterns: ['<rootDir>/tmp/', '/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: { '\\.ts$': pathTo('tools/jest/strip-types.mjs') },
  testEnvironmentOptions: { customExportConditions: ['@strife/source', 'node', 'node-addons'] },
};

export default {
  coverageProvider: 'v8',
  watchman: false,
  // Of one test, on a machine that is ten times slower than it should be.
  testTimeout: 120_000,
  projects: [
    { ...project, displayName: 'parts', testMatch: ['**/src/**/*.spec.ts'], testPathIgnorePatterns: [...IGNORED, FLOWS] },
    { ...project, displayName: 'flows', testMatch: [FLOW_SPECS], testPathIgnorePatterns: [...IGNORED, CONSUL_SPECS] },
    { ...project, displayName: 'flows over consul', testMatch: [FLOW_SPECS], testPathIgnorePatterns: IGNORED, testEnvironment: pathTo('tools/jest/consul-environment.mjs') },
  ],
};
