/** `npm start`: without words the studio, with words the program `starstack`. */
if (process.argv.length === 2) process.argv.push('serve', '--open');
await import('./main.ts');
