import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Draw } from './draw.tsx';

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <Draw />
  </StrictMode>,
);
