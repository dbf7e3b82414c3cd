// A program for tests: registers one instance in an embedded registry and stays until it is killed, or until its input ends.
// Arguments: the options of openEmbeddedRegistry and the instance, each as JSON. Prints one line, "registered" or the refusal.

import { openEmbeddedRegistry, type EmbeddedRegistryOptions } from '../embedded-registry.ts';
import { RegistryError, type Instance } from '../registry.ts';

const [options = '{}', instance = '{}'] = process.argv.slice(2);
const registry = await openEmbeddedRegistry(JSON.parse(options) as EmbeddedRegistryOptions);
try {
  await registry.register(JSON.parse(instance) as Instance);
  process.stdout.write('registered\n');
} catch (error) {
  process.stdout.write(`${error instanceof RegistryError ? error.code : String(error)}\n`);
}
process.stdin.on('end', () => void registry.close()).resume();
