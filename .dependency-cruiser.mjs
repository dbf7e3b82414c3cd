// Who may import whom: the table of docs/ARCHITECTURE.md as rules for dependency-cruiser. Run by `npm run lint`;
// tools/tidy plants a violation of each rule and checks that it is found.

/** Specs, and the files that only specs import: contract suites, spec kits, folders named `testing`, and all of e2e. */
const TEST_CODE = '(\\.spec(-kit)?\\.ts$|-contract\\.ts$|/testing/|apps/e2e/)';

/** The workspace packages that each package may import, beside itself; `types`: only by `import type`. */
const MAY_IMPORT = {
  'libs/stubs': {},
  'libs/two-phase-commit': {},
  'libs/ledger': {},
  'libs/storage': { values: ['libs/stubs'], types: ['libs/two-phase-commit', 'libs/ledger'] },
  'libs/auth': { values: ['libs/stubs'], types: ['libs/two-phase-commit', 'libs/ledger'] },
  'libs/discovery': { values: ['libs/stubs'], types: ['libs/two-phase-commit', 'libs/ledger'] },
  'libs/service': { values: ['libs/stubs'], types: ['libs/two-phase-commit', 'libs/ledger'] },
  'libs/sdk': { values: ['libs/stubs', 'libs/ledger'] },
  'apps/gateway': { values: ['libs/(?!sdk/)[^/]+'] },
  'apps/bank': { values: ['libs/(?!sdk/)[^/]+'] },
  'apps/client': { values: ['libs/sdk', 'libs/stubs', 'libs/ledger', 'libs/storage'] },
  'apps/e2e': { values: ['libs/[^/]+', 'tools/[^/]+'] },
  'tools/[^/]+': { values: ['libs/[^/]+', 'tools/[^/]+'] },
};

/** What specs may import on top of what their package may. */
const SPECS_ALSO = ['tools/certs', 'tools/consul'];

/** Packages and Node modules that a library wraps, so that apps use the library. */
const WRAPPED = ['argon2', 'jose', 'winston', 'consul', '@peculiar/x509', 'better-sqlite3', 'pg'];
const WRAPPED_CORE = ['sqlite', 'node:sqlite'];

const NPM = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'];
const anyOf = (folders) => folders.map((folder) => `^${folder}/`);

function boundary(folder, { values = [], types = [] }) {
  const name = folder.replace('/[^/]+', '').replace('/', '-');
  const from = { path: `^${folder}/`, pathNot: folder === 'apps/e2e' ? [] : TEST_CODE };
  const own = folder === 'tools/[^/]+' ? [] : [`^${folder}/`];
  const rules = [
    {
      name: `${name}-imports`,
      comment: `${folder} may import ${[...values, ...types].join(', ') || 'no other package'}`,
      severity: 'error',
      from,
      to: { path: '^(apps|libs|tools)/', pathNot: [...own, ...anyOf(values), ...anyOf(types)] },
    },
    {
      name: `${name}-spec-imports`,
      comment: `a spec in ${folder} may also import ${SPECS_ALSO.join(', ')}`,
      severity: 'error',
      from: { path: `^${folder}/.*${TEST_CODE}` },
      to: { path: '^(apps|libs|tools)/', pathNot: [...own, ...anyOf([...values, ...types, ...SPECS_ALSO])] },
    },
  ];
  if (types.length > 0) {
    rules.push({
      name: `${name}-types-only`,
      comment: `${folder} may import ${types.join(', ')} only by \`import type\``,
      severity: 'error',
      from,
      to: { path: anyOf(types), dependencyTypesNot: ['type-only'] },
    });
  }
  return rules;
}

export default {
  forbidden: [
    ...Object.entries(MAY_IMPORT).flatMap(([folder, allowed]) => boundary(folder, allowed)),
    {
      name: 'pure-without-node',
      comment: 'the pure cores import no Node module: time, ids, disk and network arrive as arguments',
      severity: 'error',
      from: { path: '^(libs/ledger/src/|libs/two-phase-commit/src/protocol/)', pathNot: TEST_CODE },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'core-without-npm',
      comment: 'the protocol and the ledger import no npm package',
      severity: 'error',
      from: { path: '^libs/(ledger|two-phase-commit)/', pathNot: TEST_CODE },
      to: { dependencyTypes: NPM, pathNot: '^(apps|libs|tools)/' },
    },
    {
      name: 'protocol-stays-inside',
      comment: 'the pure machines import nothing of the code that runs them',
      severity: 'error',
      from: { path: '^libs/two-phase-commit/src/protocol/', pathNot: TEST_CODE },
      to: { path: '^libs/two-phase-commit/src/', pathNot: '^libs/two-phase-commit/src/protocol/' },
    },
    {
      name: 'apps-without-wrapped-packages',
      comment: 'apps use the library that wraps a package, not the package',
      severity: 'error',
      from: { path: '^apps/(gateway|bank|client)/', pathNot: TEST_CODE },
      to: { path: [`^node_modules/(${WRAPPED.join('|')})/`, `^(${WRAPPED_CORE.join('|')})$`] },
    },
    {
      name: 'declared-packages',
      comment: "an npm package must stand in the importing package's own package.json",
      severity: 'error',
      from: { path: '^(apps|libs|tools)/[^/]+/src/', pathNot: TEST_CODE },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'tests-stay-tests',
      comment: 'code that ships does not import code that only tests import',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/', pathNot: TEST_CODE },
      to: { path: `^(apps|libs|tools)/.*${TEST_CODE}` },
    },
    {
      name: 'resolvable',
      comment: 'every import leads somewhere',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'no-cycles',
      comment: 'files do not import each other in a circle',
      severity: 'error',
      from: { path: '^(apps|libs|tools)/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/|^tools/consumers/projects/' },
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['@strife/source', 'import', 'node', 'default'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
