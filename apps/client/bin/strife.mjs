#!/usr/bin/env node
// Starts the command line from its TypeScript source, in this one process: Node 24 strips the types, and a hook makes the
// workspace's packages resolve to their sources. Needs no build.
import module from 'node:module';

const NODE_MAJOR_MIN = 24;

if (Number(process.versions.node.split('.')[0]) < NODE_MAJOR_MIN) {
  process.stderr.write(`strife needs Node ${NODE_MAJOR_MIN}, and this is ${process.version}. In a checkout, run it as: npx strife\n`);
  process.exitCode = 2;
} else {
  module.enableCompileCache();
  module.registerHooks({
    resolve(specifier, context, nextResolve) {
      if (!specifier.startsWith('@strife/')) return nextResolve(specifier, context);
      return nextResolve(specifier, { ...context, conditions: ['@strife/source', ...(context.conditions ?? [])] });
    },
  });
  await import('../src/main.ts');
}
