// Plants code that the linter must reject, above all impure code in the pure cores, and checks that it is rejected.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { workspaceRoot } from './workspace.ts';

const LEDGER = 'libs/ledger/src';
const PROTOCOL = 'libs/two-phase-commit/src/protocol';

const impure: Readonly<Record<string, [source: string, rule: string]>> = {
  'async': ['export async function read(): Promise<number> {\n  return await Promise.resolve(1);\n}\n', 'no-async-await'],
  'clock': ['export const now = (): number => Date.now();\n', 'no-restricted-globals'],
  'date': ['export const now = (): unknown => new Date();\n', 'no-restricted-globals'],
  'randomness': ['export const pick = (): number => Math.random();\n', 'no-restricted-properties'],
  'timer': ['export const later = (run: () => void): unknown => setTimeout(run, 1);\n', 'no-restricted-globals'],
  'stopwatch': ['export const now = (): number => performance.now();\n', 'no-restricted-globals'],
  'console': ['export const say = (): void => console.log(1);\n', 'no-restricted-globals'],
};

const planted: Readonly<Record<string, [source: string, rule: string]>> = {
  ...Object.fromEntries(Object.entries(impure).map(([name, plant]) => [`${LEDGER}/${name}.ts`, plant])),
  ...Object.fromEntries(Object.entries(impure).map(([name, plant]) => [`${PROTOCOL}/${name}.ts`, plant])),
  'apps/bank/src/floating.ts': ['const run = async (): Promise<void> => {};\nexport const start = (): void => {\n  run();\n};\n', 'no-floating-promises'],
  'apps/bank/src/misused.ts': [
    'const run = async (): Promise<void> => {};\nexport const start = (): void => [1].forEach(async () => await run());\n',
    'no-misused-promises',
  ],
  'apps/bank/src/exhaustive.ts': [
    "export function name(kind: 'yes' | 'no'): string | undefined {\n  switch (kind) {\n    case 'yes':\n      return 'yes';\n  }\n  return undefined;\n}\n",
    'switch-exhaustiveness-check',
  ],
  'apps/bank/src/any.ts': ['export const parse = (text: string): any => text;\n', 'no-explicit-any'],
};

const allowed = {
  'libs/storage/src/clock.ts': 'export const now = (): number => Date.now();\n',
  [`${PROTOCOL}/clock.spec.ts`]: 'export const now = (): number => Date.now();\n',
};

interface LintReport {
  readonly diagnostics: ReadonlyArray<{ readonly filename: string; readonly code: string }>;
}

describe('lint rules', () => {
  const root = mkdtempSync(join(tmpdir(), 'strife-lint-'));
  let report: LintReport = { diagnostics: [] };
  const codesOf = (file: string): string[] =>
    report.diagnostics.filter(({ filename }) => filename === file).map(({ code }) => code.replace(/^.*\(|\)$/g, ''));

  beforeAll(() => {
    for (const name of ['.oxlintrc.json', 'tsconfig.base.json']) cpSync(join(workspaceRoot, name), join(root, name));
    mkdirSync(join(root, 'node_modules/@types'), { recursive: true });
    symlinkSync(join(workspaceRoot, 'node_modules/@types/node'), join(root, 'node_modules/@types/node'));
    write(join(root, 'tsconfig.json'), '{ "extends": "./tsconfig.base.json", "include": ["libs", "apps"] }\n');
    for (const [file, [source]] of Object.entries(planted)) write(join(root, file), source);
    for (const [file, source] of Object.entries(allowed)) write(join(root, file), source);
    report = lint(root);
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each(Object.entries(planted).map(([file, [, rule]]) => ({ file, rule })))('reject $file by $rule', ({ file, rule }) => {
    expect(codesOf(file)).toContain(rule);
  });

  it.each(Object.keys(allowed))('have nothing against %s', (file) => {
    expect(codesOf(file)).toEqual([]);
  });
});

function lint(root: string): LintReport {
  const program = join(workspaceRoot, 'node_modules/oxlint/bin/oxlint');
  const result = spawnSync(process.execPath, [program, '--format', 'json', 'libs', 'apps'], { cwd: root, encoding: 'utf8', timeout: 60_000 });
  if (!result.stdout.startsWith('{')) throw new Error(`${result.stdout}${result.stderr}`);
  return JSON.parse(result.stdout) as LintReport;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
