// `npm run consul:bootstrap`: policies, tokens and intentions for a Strife, in a Consul with ACLs.

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bootstrapAccess, BootstrapError } from './bootstrap.ts';
import { ConsulHttpError } from './consul-http.ts';

const USAGE = `Usage: npm run consul:bootstrap -- --gateways g1,g2 --banks alpha,beta [--out dir] [--consul-addr url]

Makes a policy and a token for each gateway and bank, for clients and for operators, and the intentions between them. Tokens are written to
files that only you can read, and never printed. A second run changes nothing; one with more names adds what they need.

  --gateways <names>     all gateways, by comma
  --banks <names>        all banks, by comma
  --agents <nodes>       nodes whose Consul agents get a token too, by comma
  --rotate <names>       who gets a new token, as strife-bank-alpha; the old one goes on until you delete it
  --out <dir>            where the tokens are written; default data/consul-tokens
  --consul-addr <url>    an agent; default http://127.0.0.1:8500 (STRIFE_CONSUL_ADDR)
  --consul-ca <file>     who signed the certificate of an agent at https:, in PEM (STRIFE_CONSUL_CA)

STRIFE_CONSUL_TOKEN is a management token; without it the one in the folder is used, or, in a Consul that never had one, made.
`;

const NAME = /^[a-z0-9][a-z0-9-]{0,62}$/;
const NODE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A mistake in how the command was called. */
class UsageError extends Error {}

async function main(): Promise<number> {
  const values = readFlags();
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const { env } = process;
  const [gateways, banks] = [namesIn('--gateways', values.gateways, NAME), namesIn('--banks', values.banks, NAME)];
  if (gateways.length === 0 || banks.length === 0) throw new UsageError('--gateways and --banks: name at least one of each');
  const authority = values['consul-ca'] ?? env['STRIFE_CONSUL_CA'];
  const { changes, files } = await bootstrapAccess({
    address: values['consul-addr'] ?? env['STRIFE_CONSUL_ADDR'] ?? 'http://127.0.0.1:8500',
    token: env['STRIFE_CONSUL_TOKEN'] || undefined,
    ca: authority === undefined ? undefined : await readFile(authority, 'utf8'),
    directory: resolve(values.out),
    gateways, banks,
    agents: namesIn('--agents', values.agents, NODE),
    rotate: namesIn('--rotate', values.rotate, NODE),
  });
  process.stdout.write(changes.length === 0 ? 'nothing to change\n' : `${changes.join('\n')}\n`);
  process.stdout.write(`tokens of ${Object.keys(files).join(', ')} are in ${resolve(values.out)}\n`);
  return 0;
}

function readFlags() {
  try {
    return parseArgs({
      options: {
        gateways: { type: 'string', default: '' },
        banks: { type: 'string', default: '' },
        agents: { type: 'string', default: '' },
        rotate: { type: 'string', default: '' },
        out: { type: 'string', default: 'data/consul-tokens' },
        'consul-addr': { type: 'string' },
        'consul-ca': { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function namesIn(flag: string, text: string, form: RegExp): string[] {
  const names = [...new Set(text.split(',').filter(Boolean))];
  const wrong = names.filter((name) => !form.test(name));
  if (wrong.length > 0) throw new UsageError(`${flag}: not a name: ${wrong.join(', ')}`);
  return names;
}

try {
  process.exitCode = await main();
} catch (error) {
  const isExpected = error instanceof UsageError || error instanceof BootstrapError || error instanceof ConsulHttpError || 'code' in (error as Error);
  if (!isExpected) throw error;
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
