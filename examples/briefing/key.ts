/** Any text as one segment of a step's path, and back. */
export const keyOf = (text: string): string => text.replace(/[%/#]/g, encodeURIComponent)

export const fromKey = (segment: string): string => segment.replace(/%(?:25|2F|23)/g, decodeURIComponent)
