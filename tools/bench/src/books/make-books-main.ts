// Makes books in a process of its own, as its starter says, and ends.

import { makeBooks, type BooksPlan } from './make-books.ts';

process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit(1));
process.on('message', ({ directory, plan, passwordHash }: { directory: string; plan: BooksPlan; passwordHash: string }) => {
  makeBooks(directory, plan, passwordHash);
  process.exit(0);
});
