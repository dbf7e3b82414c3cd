// Plants a violation of every import rule in a copy of the workspace's skeleton and checks that each one is found.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { workspaceRoot } from './workspace.ts';

interface Planted {
  readonly file: string;
  readonly source: string;
  readonly rule: string;
}

const plant = (file: string, source: string, rule: string): Planted => ({ file, source, rule });
const use = (name: string): string => `import { thing } from '${name}';\nexport const used = thing;\n`;
const useType = (name: string): string => `import type { Thing } from '${name}';\nexport type Used = Thing;\n`;

const violations: readonly Planted[] = [
  // contract: only itself and the protobuf runtime
  plant('libs/stubs/src/planted.ts', use('@strife/ledger'), 'libs-stubs-imports'),
  // protocol and domain: nothing
  plant('libs/two-phase-commit/src/planted-stubs.ts', useType('@strife/stubs/type'), 'libs-two-phase-commit-imports'),
  plant('libs/two-phase-commit/src/planted-ledger.ts', useType('@strife/ledger'), 'libs-two-phase-commit-imports'),
  plant('libs/two-phase-commit/src/planted-npm.ts', use('lru-cache'), 'core-without-npm'),
  plant('libs/two-phase-commit/src/protocol/planted-node.ts', use('node:crypto'), 'pure-without-node'),
  plant('libs/two-phase-commit/src/protocol/planted-up.ts', use('../index.ts'), 'protocol-stays-inside'),
  plant('libs/ledger/src/planted-core.ts', use('@strife/two-phase-commit'), 'libs-ledger-imports'),
  plant('libs/ledger/src/planted-node.ts', use('node:fs'), 'pure-without-node'),
  plant('libs/ledger/src/planted-type.ts', useType('node:fs'), 'pure-without-node'),
  plant('libs/ledger/src/planted-npm.ts', use('lru-cache'), 'core-without-npm'),
  // io: the stubs and types of the ports, never another io library
  plant('libs/storage/src/planted-io.ts', use('@strife/discovery'), 'libs-storage-imports'),
  plant('libs/storage/src/planted-io-type.ts', useType('@strife/auth'), 'libs-storage-imports'),
  plant('libs/storage/src/planted-core.ts', use('@strife/two-phase-commit'), 'libs-storage-types-only'),
  plant('libs/storage/src/planted-tool.ts', use('@strife/certs'), 'libs-storage-imports'),
  plant('libs/storage/src/planted.spec.ts', use('@strife/auth'), 'libs-storage-spec-imports'),
  plant('libs/auth/src/planted-io.ts', use('@strife/service'), 'libs-auth-imports'),
  plant('libs/auth/src/planted-core.ts', use('@strife/ledger'), 'libs-auth-types-only'),
  plant('libs/discovery/src/planted-io.ts', use('@strife/storage'), 'libs-discovery-imports'),
  plant('libs/discovery/src/planted-core.ts', use('@strife/ledger'), 'libs-discovery-types-only'),
  plant('libs/service/src/planted-io.ts', use('@strife/auth'), 'libs-service-imports'),
  plant('libs/service/src/planted-core.ts', use('@strife/ledger'), 'libs-service-types-only'),
  plant('libs/service/src/planted-app.ts', use('../../../apps/bank/src/index.ts'), 'libs-service-imports'),
  // sdk: the stubs and the ledger's money
  plant('libs/sdk/src/planted-io.ts', use('@strife/discovery'), 'libs-sdk-imports'),
  plant('libs/sdk/src/planted-core.ts', useType('@strife/two-phase-commit'), 'libs-sdk-imports'),
  plant('libs/sdk/src/planted-undeclared.ts', use('winston'), 'declared-packages'),
  // apps: all libraries but the sdk, no app's inside, no package that a library wraps
  plant('apps/gateway/src/planted-sdk.ts', use('@strife/sdk'), 'apps-gateway-imports'),
  plant('apps/gateway/src/planted-app.ts', use('../../bank/src/index.ts'), 'apps-gateway-imports'),
  plant('apps/gateway/src/planted-wrapped.ts', use('jose'), 'apps-without-wrapped-packages'),
  plant('apps/gateway/src/planted-tool.ts', use('@strife/cluster'), 'apps-gateway-imports'),
  plant('apps/bank/src/planted-sdk.ts', use('@strife/sdk'), 'apps-bank-imports'),
  plant('apps/bank/src/planted-app.ts', use('../../gateway/src/index.ts'), 'apps-bank-imports'),
  plant('apps/bank/src/planted-wrapped.ts', use('argon2'), 'apps-without-wrapped-packages'),
  plant('apps/bank/src/planted-sqlite.ts', use('node:sqlite'), 'apps-without-wrapped-packages'),
  plant('apps/bank/src/planted-winston.ts', use('winston'), 'apps-without-wrapped-packages'),
  // client, e2e, tools
  plant('apps/client/src/planted-auth.ts', use('@strife/auth'), 'apps-client-imports'),
  plant('apps/client/src/planted-app.ts', use('../../gateway/src/index.ts'), 'apps-client-imports'),
  plant('apps/e2e/src/planted-app.ts', use('../../gateway/src/index.ts'), 'apps-e2e-imports'),
  plant('tools/bench/src/planted-app.ts', use('../../../apps/bank/src/index.ts'), 'tools-imports'),
  // everywhere
  plant('tools/bench/src/planted-nowhere.ts', use('./no-such-file.ts'), 'resolvable'),
  plant('tools/bench/src/planted-test.ts', use('./planted.spec.ts'), 'tests-stay-tests'),
  plant('tools/bench/src/planted-a-circle.ts', use('./planted-b-circle.ts'), 'no-cycles'),
];

const allowed: Readonly<Record<string, string>> = {
  'libs/storage/src/allowed-types.ts': useType('@strife/two-phase-commit'),
  'libs/storage/src/allowed-sqlite.ts': use('node:sqlite'),
  'libs/sdk/src/allowed-money.ts': use('@strife/ledger'),
  'libs/service/src/allowed-certs.spec.ts': use('@strife/certs'),
  'apps/gateway/src/allowed-storage.ts': use('@strife/storage'),
  'apps/client/src/allowed-audit.ts': use('@strife/storage'),
  'apps/e2e/src/allowed-cluster.ts': use('@strife/cluster'),
  'tools/bench/src/planted.spec.ts': 'export const thing = 1;\n',
  'tools/bench/src/planted-b-circle.ts': use('./planted-a-circle.ts'),
};

interface CruiseResult {
  readonly summary: { readonly violations: ReadonlyArray<{ readonly from: string; readonly rule: { readonly name: string } }> };
}

describe('import rules', () => {
  const root = mkdtempSync(join(tmpdir(), 'strife-boundaries-'));
  const found = new Map<string, Set<string>>();

  beforeAll(() => {
    copySkeleton(root);
    for (const { file, source } of violations) write(join(root, file), source);
    for (const [file, source] of Object.entries(allowed)) write(join(root, file), source);
    for (const { from, rule } of cruise(root).summary.violations) {
      found.set(from, (found.get(from) ?? new Set()).add(rule.name));
    }
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  it.each(violations)('finds $file by $rule', ({ file, rule }) => {
    expect([...(found.get(file) ?? [])]).toContain(rule);
  });

  it.each(Object.keys(allowed).filter((file) => !file.includes('planted')))('has nothing against %s', (file) => {
    expect(found.get(file)).toBeUndefined();
  });

  it('plants a violation of every rule that the configuration has', async () => {
    const file = '../../../.dependency-cruiser.mjs';
    const config: { default: { forbidden: Array<{ name: string }> } } = await import(file);
    const sameFactory = (name: string): boolean => name.endsWith('-spec-imports');
    const rules = config.default.forbidden.map(({ name }) => name).filter((name) => !sameFactory(name));
    expect(rules.filter((name) => !violations.some(({ rule }) => rule === name))).toEqual([]);
  });
});

/** The packages' manifests with an empty index each, linked as npm does, and stand-ins for the npm packages they use. */
function copySkeleton(root: string): void {
  write(join(root, 'package.json'), '{ "type": "module" }\n');
  mkdirSync(join(root, 'node_modules/@strife'), { recursive: true });
  for (const group of ['apps', 'libs', 'tools']) {
    for (const name of packageNames(group)) {
      const folder = join(root, group, name);
      write(join(folder, 'src/index.ts'), 'export type Thing = 1;\nexport const thing = 1;\n');
      cpSync(join(workspaceRoot, group, name, 'package.json'), join(folder, 'package.json'));
      symlinkSync(folder, join(root, 'node_modules/@strife', name));
    }
  }
  for (const path of ['type', 'gateway', 'bank']) {
    write(join(root, `libs/stubs/src/generated/strife/${path}/v1/${path}.ts`), 'export type Thing = 1;\n');
  }
  for (const name of ['argon2', 'jose', 'winston', 'lru-cache']) {
    write(join(root, 'node_modules', name, 'package.json'), `{ "name": "${name}", "version": "1.0.0", "main": "index.js" }\n`);
    write(join(root, 'node_modules', name, 'index.js'), 'exports.thing = 1;\n');
  }
}

function packageNames(group: string): string[] {
  return readdirSync(join(workspaceRoot, group), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.name === 'package.json' && entry.parentPath.split('/').at(-2) === group)
    .map((entry) => entry.parentPath.split('/').at(-1) ?? '');
}

function cruise(root: string): CruiseResult {
  const program = join(workspaceRoot, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const config = join(workspaceRoot, '.dependency-cruiser.mjs');
  const args = [program, '--config', config, '--output-type', 'json', 'apps', 'libs', 'tools'];
  const result = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (result.stdout === '') throw new Error(result.stderr);
  return JSON.parse(result.stdout) as CruiseResult;
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
