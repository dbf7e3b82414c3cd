// The program that run-service.spec.ts starts; its first argument says what happens to it.
import { createLogger, parseServiceConfig, port, runService, StartupError } from './index.ts';

const [mode, ...argv] = process.argv.slice(2);

await runService(async ({ signal }) => {
  if (mode === 'config') {
    parseServiceConfig({ program: 'bank', description: 'A bank.', argv, env: {}, options: { port: { flag: '--port', env: 'P', schema: port, help: 'port' } } });
  }
  if (mode === 'startup-error') throw new StartupError('port 7400 on 127.0.0.1 is in use');
  if (mode === 'bug-at-start') throw new TypeError('x is not a function\nsecond line');
  const logger = createLogger({ service: 'program', directory: argv[0]!, level: 'info', terminal: false });
  if (mode === 'slow-start') {
    console.log('starting');
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    console.log('start was told');
  }
  console.log('started');
  if (mode === 'rejection') void Promise.reject(new Error('lost promise'));
  if (mode === 'exception') setImmediate(() => { throw new Error('lost exception'); });
  return {
    logger,
    stop: async () => {
      console.log('stopping');
      if (mode === 'stop-hangs') await new Promise(() => undefined);
      if (mode === 'stop-fails') throw new Error('cannot leave');
      logger.info('last line');
    },
  };
});
