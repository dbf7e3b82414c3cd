// The profile file that points the `strife` command line at a local cluster.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface Profile {
  /** `host:port` of each, for who does not follow a registry. */
  readonly gateways: readonly string[];
  /** Where gateways are found, also those that come later. */
  readonly registry: { readonly registryDir: string } | { readonly consulAddress: string } | undefined;
  readonly certsDir: string;
  /** The identity whose certificate the client shows: `client/dev`. */
  readonly certificate: string;
  /** Where the stores are that `strife audit` reads. */
  readonly dataDir: string;
}

/** Writes the profile as TOML. JSON's strings and lists of strings are TOML's as well. */
export async function writeProfile(file: string, profile: Profile): Promise<void> {
  const { registry } = profile;
  const lines = [
    '# Written by tools/cluster; points `strife` at the local cluster.',
    `gateways = ${JSON.stringify(profile.gateways)}`,
    ...(registry === undefined ? [] : ['registryDir' in registry ? `registry_dir = ${JSON.stringify(registry.registryDir)}` : `consul_addr = ${JSON.stringify(registry.consulAddress)}`]),
    `certs_dir = ${JSON.stringify(profile.certsDir)}`,
    `certificate = ${JSON.stringify(profile.certificate)}`,
    `data_dir = ${JSON.stringify(profile.dataDir)}`,
  ];
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${lines.join('\n')}\n`);
}
