/* SPDX-License-Identifier: MIT */
/* What szc-nic says: lines for people, JSON for programs. */
#ifndef TOOLS_SZC_NIC_RENDER_H
#define TOOLS_SZC_NIC_RENDER_H

#include <stdio.h>
#include <jansson.h>
#include <szc/nic.h>

void render_info(FILE *file, const struct szc_nic_info *info);
/* The queue's line; the rules that lead to it are found among those of the last look. */
void render_queue(FILE *file, const struct szc_nic *nic, const struct szc_nic_queue *queue);
void render_rule(FILE *file, const struct szc_nic_rule *rule);
void render_change(FILE *file, const struct szc_nic_change *change);

/* Each: a new object, NULL without memory. */
json_t *render_info_json(const struct szc_nic_info *info);
json_t *render_queue_json(const struct szc_nic_queue *queue);
json_t *render_rule_json(const struct szc_nic_rule *rule);
json_t *render_change_json(const struct szc_nic_change *change);

#endif
