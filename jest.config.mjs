// Jest for every package: TypeScript as Node runs it, ES modules, sources instead of builds.
import { fileURLToPath } from 'node:url';

export default {
  testMatch: ['**/src/**/*.spec.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/dist/'],
  modulePathIgnorePatterns: ['<rootDir>/tmp/', '/dist/'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'js', 'mjs', 'cjs', 'json', 'node'],
  transform: { '\\.ts$': fileURLToPath(new URL('tools/jest/strip-types.mjs', import.meta.url)) },
  testEnvironmentOptions: { customExportConditions: ['@strife/source', 'node', 'node-addons'] },
  coverageProvider: 'v8',
  watchman: false,
  testTimeout: 30_000,
};
