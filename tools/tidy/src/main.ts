// Prints every breach of the repository's rules; exits 1 if there is one.
import { packageHosts } from './package-hosts.ts';
import { findBreaches } from './rules.ts';
import { listFiles, listPackages, workspaceRoot } from './workspace.ts';

const files = listFiles(workspaceRoot);
const breaches = findBreaches({ files, packages: listPackages(files), packageHosts: packageHosts(workspaceRoot) });
for (const { path, rule, detail } of breaches) console.error(`${path}: ${detail} (${rule})`);
console.error(breaches.length === 0 ? `tidy: ${files.length} files` : `tidy: ${breaches.length} breaches`);
process.exitCode = breaches.length === 0 ? 0 : 1;
