/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Markers: instructions that do nothing, and that an emulator which looks at what it executes (bench/trips/plugin) can
 * tell from all others. A marker is a long NOP of 7 bytes (nopl disp32(%rax), 0F 1F 80) whose displacement says which;
 * on a processor that is not watched it costs as much as any NOP.
 *
 * The device's part of the module marks itself, so that what it does in software is not taken for what a host does.
 */
#ifndef SZCNIC_TRIPS_H
#define SZCNIC_TRIPS_H

#define SZC_MARK_MAGIC	0x535a4300	/* "SZC", and the marker in the last byte */

enum szc_mark {
	/* The device: */
	SZC_MARK_DEVICE,		/* from here on this processor does a device's work ... */
	SZC_MARK_DRIVER,		/* ... until here */
	SZC_MARK_DMA_HEADERS,		/* what is stored from here on is the device's DMA: headers, */
	SZC_MARK_DMA_PAYLOAD,		/* ... or payload, */
	SZC_MARK_DMA_END,		/* ... until here */

	/* A program that is watched: */
	SZC_MARK_WATCH,			/* this processor is the receiver's; nothing is known of its memory */
	SZC_MARK_AREA,			/* what is touched from here on is the registered area, */
	SZC_MARK_TARGET,		/* ... where the application has its data put, */
	SZC_MARK_INSIDE,		/* ... buffers inside a library, */
	SZC_MARK_CIPHER,		/* ... the code that ciphers, */
	SZC_MARK_TOUCHED,		/* ... until here */
	SZC_MARK_RUN,			/* counting begins */
	SZC_MARK_STOP,			/* counting ends; the figures are written down */
	SZC_MARK_UNWATCH,		/* back to full speed */
	SZC_MARKS,
};

#if defined(__x86_64__)
#define szc_mark(mark)	({ asm volatile("nopl %c0(%%rax)" : : "i"(SZC_MARK_MAGIC | (mark)) : "memory"); })
#else
#define szc_mark(mark)	((void)(mark))
#endif

#endif
