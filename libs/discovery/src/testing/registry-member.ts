// A program for tests: registers one instance in a registry and stays until it is killed, or until its input ends.
// Arguments: the driver with its options and the instance, each as JSON. Prints one line, "registered" or the refusal, and then its problems.

import { openConsulRegistry } from '../consul-registry.ts';
import { openEmbeddedRegistry } from '../embedded-registry.ts';
import { RegistryError, type Instance, type RegistryProblem } from '../registry.ts';
import type { MemberRegistry } from './start-member.ts';

const [driver = '{}', instance = '{}'] = process.argv.slice(2);
const options = JSON.parse(driver) as MemberRegistry;
const onProblem = ({ message }: RegistryProblem): void => void process.stdout.write(`${message}\n`);
const registry = 'consul' in options
  ? await openConsulRegistry({ ...options.consul, onProblem })
  : await openEmbeddedRegistry({ ...options.embedded, onProblem });
try {
  await registry.register(JSON.parse(instance) as Instance);
  process.stdout.write('registered\n');
} catch (error) {
  process.stdout.write(`${error instanceof RegistryError ? error.code : String(error)}\n`);
}
process.stdin.on('end', () => void registry.close()).resume();
