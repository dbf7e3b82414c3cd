// The `strife` process: signals in, exit code out.

import './home.ts';
import { runCli } from './cli.ts';
import { EXIT } from './exit-codes.ts';

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => interruption.abort(abortError()));
}
// A reader that has seen enough, such as `head`, is no failure, and changes nothing about how the command ended.
let isResultLost = false;
process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
  if (code === 'EPIPE') return;
  isResultLost = true;
  process.stderr.write(`error: the result could not be written: ${message}\n`);
});
process.stderr.on('error', () => undefined);

const exitCode = await runCli(process.argv.slice(2), interruption.signal);
await written(process.stdout);
// Not by itself: a connection to a gateway that says nothing would keep the process for as long as it takes to give it up.
process.exit(isResultLost && exitCode === EXIT.ok ? EXIT.internal : exitCode);

/** Resolves once what was written has been taken, or has failed and been told. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    stream.write('', () => setImmediate(resolve));
  });
}

function abortError(): Error {
  const error = new Error('interrupted');
  error.name = 'AbortError';
  return error;
}
