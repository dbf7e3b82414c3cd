// The `strife` process: signals in, exit code out.

import { runCli } from './cli.ts';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interruption.abort(abortError()));
}
// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2), interruption.signal);

function abortError(): Error {
  const error = new Error('interrupted');
  error.name = 'AbortError';
  return error;
}
