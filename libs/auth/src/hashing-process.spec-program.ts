// The program that hashing-process.spec.ts starts and kills: it keeps a hashing process at work, and says its process id.
import { startHashingProcess } from './hashing-process.ts';

const hashing = startHashingProcess((error) => console.error(error));
await hashing.hash(Buffer.from('x'));
console.log(hashing.pid);
if (process.argv[2] === 'works') {
  for (;;) await hashing.hash(Buffer.from('x'));
}
