// The repository keeps its rules, and each rule finds what it forbids.
import { describe, expect, it } from '@jest/globals';
import { packageHosts } from './package-hosts.ts';
import { findBreaches } from './rules.ts';
import type { Repository } from './rules.ts';
import { listFiles, listPackages, workspaceRoot } from './workspace.ts';

const HEADER = '// What it is for.\n';

function repository(contents: Readonly<Record<string, string>>, hosts: readonly string[] = []): Repository {
  const files = Object.entries(contents).map(([path, text]) => ({ path, read: () => text }));
  return { files, packages: listPackages(files), packageHosts: hosts };
}

function rulesFor(contents: Readonly<Record<string, string>>, hosts?: readonly string[]): string[] {
  return findBreaches(repository(contents, hosts)).map(({ rule }) => rule);
}

describe('this repository', () => {
  it('breaks none of its rules', () => {
    const files = listFiles(workspaceRoot);
    const hosts = packageHosts(workspaceRoot);
    expect(findBreaches({ files, packages: listPackages(files), packageHosts: hosts })).toEqual([]);
  });
});

describe('the rules', () => {
  const lines = (count: number): string => HEADER + 'export {};\n'.repeat(count - 1);

  it.each<[string, Record<string, string>]>([
    ['length', { 'libs/a/src/long.ts': lines(401) }],
    ['length', { 'libs/a/src/long.spec.ts': lines(601) }],
    ['header', { 'libs/a/src/bare.ts': 'export {};\n' }],
    ['kebab-case', { 'libs/a/src/fileName.ts': HEADER }],
    ['kebab-case', { 'libs/a/src/file_name.ts': HEADER }],
    ['named-for-what-it-holds', { 'libs/a/src/string-utils.ts': HEADER }],
    ['named-for-what-it-holds', { 'libs/common/src/money.ts': HEADER }],
    ['named-for-what-it-holds', { 'libs/a/src/session-manager.ts': HEADER }],
    ['export-by-name', { 'libs/a/src/index.ts': `${HEADER}export * from './money.ts';\n` }],
    ['no-focused-tests', { 'libs/a/src/a.spec.ts': `${HEADER}it${'.only('}'x', () => {});\n` }],
    ['no-keys', { 'certs/ca.pem': '' }],
    ['no-keys', { 'certs/ca.key': '' }],
    ['folders', { 'scripts/run.mjs': HEADER }],
    ['finished', { 'libs/a/src/a.ts': `${HEADER}// ${'TO'}${'DO'}: later\n` }],
    ['finished', { 'docs/a.md': `${'FIX'}ME\n` }],
    ['no-machine-paths', { 'docs/a.md': `see ${'/ro'}ot/somewhere\n` }],
    ['no-machine-paths', { 'apps/a/src/a.ts': `${HEADER}const path = '${'/wo'}rk/main';\n` }],
    ['no-issue-numbers', { 'docs/a.md': `as issue ${'#'}12 says\n` }],
    ['readme', { 'libs/a/package.json': '{}' }],
    ['test-target', { 'libs/a/package.json': '{}', 'libs/a/README.md': '', 'libs/a/src/a.spec.ts': HEADER }],
    ['test-target', { 'libs/a/package.json': '{ "nx": { "targets": { "test": {} } } }', 'libs/a/README.md': '' }],
  ])('%s finds a breach', (rule, contents) => {
    expect(rulesFor(contents)).toEqual([rule]);
  });

  it('no-package-hosts finds a host that packages come from', () => {
    expect(rulesFor({ 'README.md': 'get it from packages.example.org\n' }, ['packages.example.org'])).toEqual(['no-package-hosts']);
  });

  it('have nothing against a small tidy package', () => {
    const manifest = '{ "nx": { "targets": { "test": {} } } }';
    const tidy = { 'libs/a/package.json': manifest, 'libs/a/README.md': '# a\n', 'libs/a/src/a.ts': lines(400), 'libs/a/src/a.spec.ts': lines(600) };
    expect(rulesFor(tidy)).toEqual([]);
  });

  it('leave generated stubs alone', () => {
    expect(rulesFor({ 'libs/stubs/src/generated/strife/a.ts': 'export * from "x";\n'.repeat(1000) })).toEqual([]);
  });
});
