// Brings a Consul's access control to the access profile: policies, tokens in files, intentions. What is so already is left alone.

import { chmod, mkdir, open, readFile, rm, writeFile, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { grantsOf, intentionsOf, type Grant, type Intention, type Members } from './access-profile.ts';
import { createConsulHttp, type ConsulHttp, type ConsulHttpError } from './consul-http.ts';

export interface BootstrapOptions extends Members {
  /** Of any agent: `http://127.0.0.1:8500`. */
  readonly address: string;
  /** Of global management. Without it, the one that an earlier run left in the folder, or the first one ever, which only Consul's first caller gets. */
  readonly token?: string | undefined;
  /** In PEM: who signed the certificate of an agent at `https:`. */
  readonly ca?: string | undefined;
  /** Where the tokens are written, one file each, for the owner alone: `strife-bank-alpha.token`. */
  readonly directory: string;
  /** Names of grants that get a new token, beside the old one, which goes on until somebody deletes it. */
  readonly rotate?: readonly string[];
}

export interface BootstrapResult {
  /** What was changed, a line each, without any secret. Empty when everything was so already. */
  readonly changes: readonly string[];
  /** The file of each grant's token, by its name. */
  readonly files: Readonly<Record<string, string>>;
}

/** One line that says what to do. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError';
}

const MANAGEMENT_FILE = 'management.token';

/**
 * May be repeated, with more members too; members that are left out keep what they have. A run that failed in the middle is finished by the next.
 *
 * @throws BootstrapError, ConsulHttpError
 */
export async function bootstrapAccess(options: BootstrapOptions): Promise<BootstrapResult> {
  const { address, ca, directory, rotate = [] } = options;
  const changes: string[] = [];
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const consul = createConsulHttp({ address, ca, token: await managementToken(options, changes) });
  const grants = await grantsOf(options);
  const unknown = rotate.filter((name) => grants.every((grant) => grant.name !== name));
  if (unknown.length > 0) throw new BootstrapError(`--rotate ${unknown.join()}: none of ${grants.map(({ name }) => name).join(', ')}`);

  await ensurePolicies(consul, grants, changes);
  const known = await consul.get<readonly TokenEntry[]>('/v1/acl/tokens');
  const files: Record<string, string> = {};
  for (const { name } of grants) {
    // oxlint-disable no-await-in-loop -- one after the other, so that a failure leaves whole ones
    const secret = await ensureToken(consul, name, known, rotate.includes(name), changes);
    files[name] = join(directory, `${name}.token`);
    if (await writeSecret(files[name], secret)) changes.push(`wrote the token of ${name} to ${files[name]}`);
    // oxlint-enable no-await-in-loop
  }
  await ensureIntentions(consul, intentionsOf(options), changes);
  return { changes, files };
}

async function managementToken({ address, ca, token, directory }: BootstrapOptions, changes: string[]): Promise<string> {
  if (token !== undefined) return token;
  const file = join(directory, MANAGEMENT_FILE);
  const kept = await readSecret(file);
  if (kept !== undefined) return kept;
  const handle = await reserveSecret(file);
  try {
    const secret = await firstToken(address, ca).catch(async (error: unknown) => {
      await rm(file);
      throw bootstrapRefusal(address, file, error as Error);
    });
    // Consul will not give it again: from here on the file stays, whatever happens.
    await keepSecret(handle, secret).catch((error: Error) => {
      throw new BootstrapError(`Consul at ${address} gave its only management token, and ${file} could not keep it (${error.message}); if the file has no whole token, ${resetOf(file)}`);
    });
    changes.push(`bootstrapped the ACLs; the management token is in ${file}: keep it elsewhere`);
    return secret;
  } finally {
    await handle.close();
  }
}

async function firstToken(address: string, ca: string | undefined): Promise<string> {
  const { SecretID } = await createConsulHttp({ address, ca, token: undefined }).put<{ SecretID?: string }>('/v1/acl/bootstrap');
  if (!SecretID) throw new BootstrapError(`Consul at ${address} answers without a management token`);
  return SecretID;
}

/** As long as a token with its end of line, in white space, which counts as empty. */
const ROOM = `${' '.repeat(36)}\n`;

/** A durable file with room for a token: a disk that is full or read-only fails here, before Consul gives what it gives only once. */
async function reserveSecret(file: string): Promise<FileHandle> {
  const handle = await open(file, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error;
    throw new BootstrapError(`${file} is empty: another run is under way, or was cut off, maybe after Consul gave its only management token; in the latter case delete the file and run this again, and if the ACLs turn out to be bootstrapped already, ${resetOf(file)}`);
  });
  try {
    await handle.write(ROOM, 0);
    await handle.sync();
    return handle;
  } catch (error) {
    await handle.close();
    await rm(file);
    throw error;
  }
}

async function keepSecret(handle: FileHandle, secret: string): Promise<void> {
  await handle.writeFile(`${secret}\n`);
  await handle.sync();
}

/** Consul's own way to get another management token. */
function resetOf(file: string): string {
  return `reset the ACL bootstrap: write the reset index that \`consul acl bootstrap\` names into acl-bootstrap-reset in the data directory of the leading server, delete ${file}, and run this again`;
}

function bootstrapRefusal(address: string, file: string, error: Error): Error {
  if (error.message.includes('ACL support disabled')) {
    return new BootstrapError(`Consul at ${address} runs without ACLs; set acl { enabled = true, default_policy = "deny" } on its agents`);
  }
  if ((error as ConsulHttpError).status === 403) {
    return new BootstrapError(`the ACLs of Consul at ${address} are bootstrapped already; give a management token as STRIFE_CONSUL_TOKEN, or if nobody has one, ${resetOf(file)}`);
  }
  return error;
}

interface PolicyEntry {
  readonly ID: string;
  readonly Name: string;
  readonly Rules: string;
}

async function ensurePolicies(consul: ConsulHttp, grants: readonly Grant[], changes: string[]): Promise<void> {
  const known = new Map((await consul.get<readonly PolicyEntry[]>('/v1/acl/policies')).map(({ Name, ID }) => [Name, ID]));
  for (const { name, rules } of grants) {
    // oxlint-disable no-await-in-loop -- one after the other
    const id = known.get(name);
    const policy = { Name: name, Description: 'made by consul:bootstrap of Strife', Rules: rules };
    if (id === undefined) {
      await consul.put('/v1/acl/policy', policy);
      changes.push(`created policy ${name}`);
    } else if ((await consul.get<PolicyEntry>(`/v1/acl/policy/${id}`)).Rules !== rules) {
      await consul.put(`/v1/acl/policy/${id}`, { ID: id, ...policy });
      changes.push(`updated policy ${name}`);
    }
    // oxlint-enable no-await-in-loop
  }
}

interface TokenEntry {
  readonly AccessorID: string;
  readonly SecretID?: string;
  readonly Description: string;
  readonly CreateIndex: number;
  readonly Policies?: readonly { readonly Name: string }[];
}

/** The grant's newest token: the one that there is, or a new one. */
async function ensureToken(consul: ConsulHttp, name: string, known: readonly TokenEntry[], mustBeNew: boolean, changes: string[]): Promise<string> {
  const own = known
    .filter(({ Description, Policies }) => Description === name && Policies?.some((policy) => policy.Name === name))
    .toSorted((a, b) => b.CreateIndex - a.CreateIndex);
  if (own[0] === undefined || mustBeNew) {
    const { SecretID } = await consul.put<{ SecretID: string }>('/v1/acl/token', { Description: name, Policies: [{ Name: name }] });
    changes.push(`created a token for ${name}`);
    for (const { AccessorID } of own) changes.push(`the token ${AccessorID} of ${name} is still good: when nobody uses it, consul acl token delete -id ${AccessorID}`);
    return SecretID;
  }
  const { SecretID } = await consul.get<TokenEntry>(`/v1/acl/token/${own[0].AccessorID}`);
  if (SecretID === undefined || SecretID === '' || SecretID === '<hidden>') throw new BootstrapError(`Consul hides the token of ${name} from this one, which is none of global management`);
  return SecretID;
}

interface IntentionEntry {
  readonly SourceName: string;
  readonly DestinationName: string;
  readonly Action: string;
}

async function ensureIntentions(consul: ConsulHttp, wanted: readonly Intention[], changes: string[]): Promise<void> {
  const entries = (await consul.get<readonly IntentionEntry[] | null>('/v1/connect/intentions')) ?? [];
  const known = new Map(entries.map(({ SourceName, DestinationName, Action }) => [`${SourceName} => ${DestinationName}`, Action]));
  for (const { source, destination, action } of wanted) {
    const between = `${source} => ${destination}`;
    const before = known.get(between);
    if (before === undefined) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await consul.post('/v1/connect/intentions', { SourceName: source, DestinationName: destination, SourceType: 'consul', Action: action });
      changes.push(`created intention ${action} ${between}`);
    } else if (before !== action) {
      // Somebody may have cut a service off on purpose.
      changes.push(`left intention ${between} as it is: ${before}, where ${action} is the rule`);
    }
  }
}

/** Undefined when there is none. */
async function readSecret(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim() || undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Whether the file did not say so yet. */
async function writeSecret(file: string, secret: string): Promise<boolean> {
  if ((await readSecret(file)) === secret) {
    await chmod(file, 0o600);
    return false;
  }
  await rm(file, { force: true });
  await writeFile(file, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  return true;
}
