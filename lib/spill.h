/* SPDX-License-Identifier: MIT */
/*
 * Packing on a NIC queue. What lies behind a fragment there may be another connection's, or be written at this moment:
 * only the exact bytes of a fragment are ours. So an incomplete record that occupies a whole quota in small pieces is
 * copied into memory of the library's own, outside the area.
 */
#ifndef SZC_LIB_SPILL_H
#define SZC_LIB_SPILL_H

#include <stdbool.h>
#include "engine.h"

/* As szc_backend_ops.pack. */
size_t szc_spill_pack(struct szc_conn *conn, struct szc_frag_list *unused);

/* A fragment of that memory without references is freed: true. Any other: false, and nothing is done. */
bool szc_spill_recycle(struct szc_frag *frag);

#endif
