/** What of a dropped or chosen folder is a training's: its log and its preview sheets. */

export interface Preview {
  readonly step: number;
  readonly picture: () => Promise<Blob>;
}

export interface RunFiles {
  readonly log: File | undefined;
  /** By rising step. */
  readonly previews: readonly Preview[];
}

const sheetName = /^step-(\d{8})\.png$/;

export function runFilesOf(files: readonly File[]): RunFiles {
  const previews = files.flatMap((file) => {
    const step = sheetName.exec(file.name)?.[1];
    return step === undefined ? [] : [{ step: Number(step), picture: async () => file }];
  });
  return {
    log: files.find(({ name }) => name.endsWith('.jsonl')),
    previews: previews.sort((a, b) => a.step - b.step),
  };
}

/** All files of a drop, those inside folders too. */
export async function droppedFiles(data: DataTransfer): Promise<File[]> {
  // The list is emptied when the event is over: entries are asked for at once.
  const entries = [...data.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: FileSystemEntry[] = [];
  // A reader gives a hundred at a time, and none at the end.
  while (true) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) break;
    found.push(...some);
  }
  return (await Promise.all(found.map(filesIn))).flat();
}
