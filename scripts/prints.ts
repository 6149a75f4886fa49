// An example ends with what it prints: `/* prints:`, the lines, `*/`.

/** The expected output in a source, or undefined. */
export const expectedOutput = (source: string): string | undefined =>
  /\n\/\* prints:[ \t]*\n([\s\S]*?)\n?[ \t]*\*\/\s*$/.exec(source)?.[1]

/**
 * Whether the output is as expected, to the letter but for blanks at line ends and the newline at the end. `...` alone on a
 * line stands for any number of lines, inside a line for any characters of it.
 */
export const isAsExpected = (output: string, expected: string): boolean => {
  const lines = (text: string) =>
    text
      .replaceAll("\r\n", "\n")
      .replace(/[ \t]+$/gm, "")
      .replace(/\n+$/, "")
  const escape = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
  const pattern = lines(expected)
    .split("\n")
    .map((line) => (line.trim() === "..." ? "(?:[^\n]*\n)*" : `${line.split("...").map(escape).join("[^\n]*")}\n`))
    .join("")
  return new RegExp(`^${pattern}$`).test(`${lines(output)}\n`)
}
