// Lets a worker thread run this folder from source. `--import tsx` by itself registers nothing outside of the main thread.
import { register } from 'tsx/esm/api';

register();
