// QR codes as one path.
import qrcode from 'qrcode-generator';

export function drawn(text: string): { d: string; size: number } {
  const code = qrcode(0, 'M');
  code.addData(text);
  code.make();
  const size = code.getModuleCount();
  let d = '';
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) if (code.isDark(row, column)) d += `M${column} ${row}h1v1h-1z`;
  }
  return { d, size };
}
