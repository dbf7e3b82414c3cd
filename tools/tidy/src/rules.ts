// The repository's rules that no linter checks: what files may be called, hold and weigh, and what a package must have.
import type { WorkspaceFile, WorkspacePackage } from './workspace.ts';

export interface Finding {
  readonly path: string;
  readonly rule: string;
  readonly detail: string;
}

export interface Repository {
  readonly files: readonly WorkspaceFile[];
  readonly packages: readonly WorkspacePackage[];
  /** Hosts that packages are fetched from here; a mirror is nobody else's business. */
  readonly packageHosts: readonly string[];
}

const CODE_LINES_MAX = 400;
const SPEC_LINES_MAX = 600;
const FOLDERS = ['.ci', '.github', 'apps', 'certs', 'docs', 'libs', 'proto', 'tools'];
const VAGUE_NAMES = ['util', 'utils', 'helper', 'helpers', 'common', 'manager', 'misc'];

const isGenerated = (path: string): boolean => path.startsWith('libs/stubs/src/generated/');
const isCode = (path: string): boolean => /\.(ts|mjs|cjs|js)$/.test(path) && !isGenerated(path);
const isSpec = (path: string): boolean => path.endsWith('.spec.ts');
const isText = (path: string): boolean => path !== 'package-lock.json' && path !== 'LICENSE';

/** Every breach of every rule; none when the repository is tidy. */
export function findBreaches(repository: Repository): Finding[] {
  return [
    ...repository.files.flatMap(({ path }) => namingBreaches(path)),
    ...repository.files.filter(({ path }) => isCode(path)).flatMap(codeBreaches),
    ...repository.files.filter(({ path }) => isText(path)).flatMap((file) => textBreaches(file, repository.packageHosts)),
    ...repository.packages.flatMap((member) => packageBreaches(member, repository.files)),
  ];
}

function namingBreaches(path: string): Finding[] {
  const findings: Finding[] = [];
  const segments = path.split('/');
  const folder = segments.length > 1 ? segments[0] : undefined;
  if (folder !== undefined && !FOLDERS.includes(folder)) {
    findings.push({ path, rule: 'folders', detail: `the top-level folders are ${FOLDERS.join(', ')}` });
  }
  for (const segment of segments) {
    const kebab = /^\.?[a-z0-9]+([.-][a-z0-9]+)*$/.test(segment) || /^[A-Z]+(\.md)?$/.test(segment);
    if (!kebab) findings.push({ path, rule: 'kebab-case', detail: `${segment} is not in kebab-case` });
    const vague = segment.split(/[.-]/).find((word) => VAGUE_NAMES.includes(word));
    if (vague !== undefined) findings.push({ path, rule: 'named-for-what-it-holds', detail: `${vague} says nothing` });
  }
  if (/\.(pem|key|p12|pfx)$/.test(path)) findings.push({ path, rule: 'no-keys', detail: 'keys are never committed' });
  return findings;
}

function codeBreaches({ path, read }: WorkspaceFile): Finding[] {
  const findings: Finding[] = [];
  const text = read();
  const lines = text.split('\n').length - 1;
  const linesMax = isSpec(path) ? SPEC_LINES_MAX : CODE_LINES_MAX;
  if (lines > linesMax) findings.push({ path, rule: 'length', detail: `${lines} lines; the most is ${linesMax}` });
  const speaksForItself = isSpec(path) || path.endsWith('/index.ts');
  if (!speaksForItself && !/^(#!|\/\/|\/\*)/.test(text)) {
    findings.push({ path, rule: 'header', detail: 'the first line is a comment that says what the file is for' });
  }
  if (/^\s*export \*/m.test(text)) findings.push({ path, rule: 'export-by-name', detail: '`export *` hides what is exported' });
  if (isSpec(path) && /^\s*(f(it|describe)|(it|test|describe)\.only)\(/m.test(text)) {
    findings.push({ path, rule: 'no-focused-tests', detail: 'a focused test keeps the others from running' });
  }
  return findings;
}

function textBreaches({ path, read }: WorkspaceFile, packageHosts: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  read()
    .split('\n')
    .forEach((line, index) => {
      const at = `${path}:${index + 1}`;
      if (/\bTOD[O]\b|\bFIXM[E]\b/.test(line)) findings.push({ path: at, rule: 'finished', detail: 'do it, or open an issue' });
      if (/(^|[\s'"`(=:])[/](work|root|home[/]\w+|tmp[/]strife)[/]/.test(line)) {
        findings.push({ path: at, rule: 'no-machine-paths', detail: 'a path of one machine' });
      }
      if (/\bissues?\s+#?\d/i.test(line)) findings.push({ path: at, rule: 'no-issue-numbers', detail: 'say why, not where' });
      const host = packageHosts.find((name) => line.includes(name));
      if (host !== undefined) findings.push({ path: at, rule: 'no-package-hosts', detail: 'names a package host' });
    });
  return findings;
}

function packageBreaches({ folder, manifest }: WorkspacePackage, files: readonly WorkspaceFile[]): Finding[] {
  const findings: Finding[] = [];
  const has = (matches: (path: string) => boolean): boolean =>
    files.some(({ path }) => path.startsWith(`${folder}/`) && matches(path));
  if (!has((path) => path === `${folder}/README.md`)) {
    findings.push({ path: folder, rule: 'readme', detail: 'every package has a README.md' });
  }
  const specs = has(isSpec);
  const target = manifest.nx?.targets?.['test'] !== undefined;
  if (specs && !target) findings.push({ path: folder, rule: 'test-target', detail: 'has specs, so package.json names nx.targets.test' });
  if (!specs && target) findings.push({ path: folder, rule: 'test-target', detail: 'has no spec, so package.json names no nx.targets.test' });
  return findings;
}
