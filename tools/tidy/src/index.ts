// What other tools may use: the rules, and the list of the workspace's files.
export { findBreaches } from './rules.ts';
export type { Finding, Repository } from './rules.ts';
export { packageHosts } from './package-hosts.ts';
export { listFiles, listPackages, workspaceRoot } from './workspace.ts';
export type { WorkspaceFile, WorkspacePackage } from './workspace.ts';
