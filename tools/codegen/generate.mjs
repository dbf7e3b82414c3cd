// Generates libs/stubs/src/generated from proto/ with buf and ts-proto, both from node_modules and without network.
// With --check it generates into a temporary folder and fails if the committed stubs differ.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const committed = join(root, 'libs/stubs/src/generated');
const check = process.argv.includes('--check');

try {
  buf('lint', 'proto');
  buf('format', '--diff', '--exit-code', 'proto');
  if (check) checkCommitted();
  else generateInto(committed);
} catch (error) {
  console.error(`codegen: ${error.message}`);
  process.exitCode = 1;
}

function checkCommitted() {
  mkdirSync(join(root, 'tmp'), { recursive: true });
  const directory = mkdtempSync(join(root, 'tmp', 'codegen-'));
  try {
    generateInto(directory);
    const fresh = readTree(directory);
    const stored = readTree(committed);
    const files = new Set([...fresh.keys(), ...stored.keys()]);
    const stale = [...files].filter((file) => fresh.get(file) !== stored.get(file));
    if (stale.length === 0) return;
    throw new Error(`libs/stubs/src/generated does not match proto/ (${stale.join(', ')}); run \`npm run codegen\``);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The template of proto/buf.gen.yaml with another output folder. */
function generateInto(directory) {
  const template = readFileSync(join(root, 'proto/buf.gen.yaml'), 'utf8').replace(/^(\s+out:).*$/m, `$1 ${directory}`);
  mkdirSync(join(root, 'tmp'), { recursive: true });
  const file = join(root, 'tmp', `buf.gen.${process.pid}.yaml`);
  writeFileSync(file, template);
  try {
    buf('generate', 'proto', '--template', file);
  } finally {
    rmSync(file, { force: true });
  }
}

function buf(...args) {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter);
  const result = spawnSync('buf', args, { cwd: root, stdio: 'inherit', env: { ...process.env, PATH: path } });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) throw new Error(`buf ${args[0]} failed`);
}

function readTree(directory) {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const file = join(entry.parentPath, entry.name);
      return [file.slice(directory.length + 1), readFileSync(file, 'utf8')];
    }),
  );
}
