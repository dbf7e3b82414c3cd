// Command line: makes development certificates. `main.ts --dir certs gateway/g1 bank/alpha`
import { parseArgs } from 'node:util';
import { ensureCertificates } from './certificate-files.ts';

/** What `npm start` and `npx nx serve` run with. */
const LOCAL_CLUSTER = ['gateway/g1', 'bank/alpha', 'bank/beta', 'client/dev', 'operator/root'];

const USAGE = `Usage: node --conditions=@strife/source tools/certs/src/main.ts [--dir certs] [IDENTITY...]

Makes a development CA and a certificate for each identity, and renews what is about to expire. Without identities: those of the
local cluster, ${LOCAL_CLUSTER.join(' ')}.
Example: node --conditions=@strife/source tools/certs/src/main.ts gateway/g1 bank/alpha bank/beta
`;

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { dir: { type: 'string', default: 'certs' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    process.stdout.write(USAGE);
  } else {
    const identities = positionals.length === 0 ? LOCAL_CLUSTER : positionals;
    const { made, kept } = await ensureCertificates({ directory: values.dir, identities });
    process.stdout.write(`${values.dir}: ${made.length} certificates made${made.length > 0 ? ` (${made.join(', ')})` : ''}, ${kept.length} kept\n`);
  }
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS') === true ? 2 : 1;
}
