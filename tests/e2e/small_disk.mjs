// A folder on a disk of its own that is soon full. Not a test.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** Absent where file systems cannot be mounted: that needs root. */
export function smallDisk(bytes) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trilane-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'trilane-test', folder], { stdio: 'ignore' });
  } catch {
    fs.rmdirSync(folder);
    return undefined;
  }
  const filler = path.join(folder, 'filler');
  return {
    folder,
    /** Takes all that is free. */
    fill() {
      const block = Buffer.alloc(64 << 10);
      try {
        for (;;) fs.appendFileSync(filler, block);
      } catch (error) {
        if (error.code !== 'ENOSPC') throw error;
      }
    },
    free: () => fs.rmSync(filler, { force: true }),
    remove() {
      execFileSync('umount', ['-l', folder]);
      fs.rmdirSync(folder);
    },
  };
}
