// SPDX-License-Identifier: GPL-2.0
/*
 * What the firmware is told about steering: a VNIC for the default RSS table, one for each RSS context, and one for
 * each queue that a rule names. A VNIC is lowered (MRU 0: it drops everything) before a ring that it reaches goes
 * away, and raised when its tables name living rings again.
 *
 * Under the instance lock, while the port is open.
 */
#include <linux/if_vlan.h>
#include <linux/slab.h>

#include "szcnic.h"

u32 szcnic_mru(const struct szcnic_port *port)
{
	return port->dev->mtu + VLAN_ETH_HLEN;
}

/* ---- one VNIC */

/* What is not hashed goes where the table begins, so that a table says all that a VNIC reaches. */
static u16 default_queue(const struct szcnic_rss *rss)
{
	return rss->indir[0];
}

static int vnic_table(struct szcnic_port *port, const struct szcnic_rss *rss)
{
	struct fw_cmd cmd = { .op = FW_VNIC_RSS, .vnic = rss->vnic.id };
	struct fw_rss *table;
	int err, i;

	table = kzalloc_obj(*table);
	if (!table)
		return -ENOMEM;
	for (i = 0; i < HW_INDIR_SIZE; i++)
		table->rings[i] = port->rxqs[rss->indir[i]].mem.rx_ring;
	memcpy(table->key, rss->key, sizeof(table->key));
	table->hash_types = rss->hash_types;
	table->symmetric = rss->input_xfrm & RXH_XFRM_SYM_XOR;
	cmd.rss = table;
	err = fw_command(&port->hw, &cmd);
	kfree(table);
	return err;
}

static int vnic_default(struct szcnic_port *port, const struct szcnic_vnic *vnic, u16 queue)
{
	struct fw_cmd cmd = { .op = FW_VNIC_CFG, .vnic = vnic->id, .cfg.ring = port->rxqs[queue].mem.rx_ring };

	return fw_command(&port->hw, &cmd);
}

static int vnic_place(struct szcnic_port *port, const struct szcnic_vnic *vnic)
{
	struct fw_cmd cmd = {
		.op = FW_VNIC_PLACE,
		.vnic = vnic->id,
		.place.split = port->split == ETHTOOL_TCP_DATA_SPLIT_ENABLED,
		.place.threshold = port->split_threshold,
		.place.gro = port->gro_hw,
	};

	return fw_command(&port->hw, &cmd);
}

static int vnic_mru(struct szcnic_port *port, const struct szcnic_vnic *vnic, u32 mru)
{
	struct fw_cmd cmd = { .op = FW_VNIC_UPDATE, .vnic = vnic->id, .mru = mru };

	return fw_command(&port->hw, &cmd);
}

/* The rings first, MRU last: the device must not receive by a table that names the dead. */
static int vnic_raise(struct szcnic_port *port, const struct szcnic_vnic *vnic, const struct szcnic_rss *rss, u16 queue)
{
	int err = 0;

	if (szcnic_mutated(port, MUTATE_MRU_DEAD_RING)) {
		err = vnic_mru(port, vnic, szcnic_mru(port));
		if (err)
			return err;
	}
	if (rss)
		err = vnic_table(port, rss);
	if (!err)
		err = vnic_default(port, vnic, queue);
	if (!err)
		err = vnic_mru(port, vnic, szcnic_mru(port));
	return err;
}

/* Of a VNIC that receives as before if this fails. */
static int vnic_free(struct szcnic_port *port, struct szcnic_vnic *vnic)
{
	struct fw_cmd cmd = { .op = FW_VNIC_FREE, .vnic = vnic->id };
	int err;

	if (!vnic->live)
		return 0;
	err = vnic_mru(port, vnic, 0);
	if (err)
		return err;
	err = fw_command(&port->hw, &cmd);
	if (err)
		vnic_mru(port, vnic, szcnic_mru(port));
	else
		vnic->live = false;
	return err;
}

static int vnic_alloc(struct szcnic_port *port, struct szcnic_vnic *vnic, const struct szcnic_rss *rss, u16 queue)
{
	struct fw_cmd cmd = { .op = FW_VNIC_ALLOC };
	int err;

	err = fw_command(&port->hw, &cmd);
	if (err)
		return err;
	vnic->id = cmd.vnic;
	vnic->live = true;
	err = vnic_place(port, vnic);
	if (!err)
		err = vnic_raise(port, vnic, rss, queue);
	if (err && vnic_free(port, vnic)) {
		vnic->live = false;
		port->stuck = true;
	}
	return err;
}

/* ---- contexts and rules */

int szcnic_context_up(struct szcnic_port *port, struct szcnic_rss *rss)
{
	return vnic_alloc(port, &rss->vnic, rss, default_queue(rss));
}

int szcnic_context_down(struct szcnic_port *port, struct szcnic_rss *rss)
{
	return vnic_free(port, &rss->vnic);
}

/* Of what a rule points to; the VNIC of a queue is made for its first rule. */
static int rule_vnic(struct szcnic_port *port, const struct szcnic_rule *rule, u16 *id)
{
	u16 queue = rule->spec.ring_cookie;
	struct szcnic_vnic *vnic;
	int err = 0;

	if (!(rule->spec.flow_type & FLOW_RSS))
		vnic = &port->direct[queue];
	else if (rule->context)
		vnic = &port->contexts[rule->context]->vnic;
	else
		vnic = &port->rss.vnic;
	if (!vnic->live)
		err = vnic_alloc(port, vnic, NULL, queue);
	*id = vnic->id;
	return err;
}

int szcnic_rule_up(struct szcnic_port *port, struct szcnic_rule *rule)
{
	struct fw_cmd cmd = { .op = FW_FILTER_ALLOC, .filter = rule - port->rules, .match = &rule->match };
	int err;

	if (!rule->match.drop) {
		err = rule_vnic(port, rule, &rule->match.vnic);
		if (err)
			return err;
	}
	err = fw_command(&port->hw, &cmd);
	if (err)
		return err;
	rule->filter = cmd.filter;
	rule->live = true;
	return 0;
}

static bool direct_used(const struct szcnic_port *port, u16 id)
{
	int i;

	for (i = 0; i < SZCNIC_RULES; i++)
		if (port->rules[i].live && !port->rules[i].match.drop && port->rules[i].match.vnic == id)
			return true;
	return false;
}

/* The VNIC of a queue ends with the last rule to it; if it does not, it waits for the next one. */
static void direct_release(struct szcnic_port *port, const struct szcnic_rule *rule)
{
	struct szcnic_vnic *vnic = &port->direct[rule->spec.ring_cookie];

	if (!direct_used(port, vnic->id))
		vnic_free(port, vnic);
}

int szcnic_rule_down(struct szcnic_port *port, struct szcnic_rule *rule)
{
	struct fw_cmd cmd = { .op = FW_FILTER_FREE, .filter = rule->filter };
	int err;

	if (!rule->live)
		return 0;
	err = fw_command(&port->hw, &cmd);
	if (err)
		return err;
	rule->live = false;
	if (!rule->match.drop && !(rule->spec.flow_type & FLOW_RSS))
		direct_release(port, rule);
	return 0;
}

/* ---- all of them */

int szcnic_vnics_up(struct szcnic_port *port)
{
	int err, i;

	/* The device takes the first VNIC for what no rule steers. */
	err = szcnic_context_up(port, &port->rss);
	for (i = 1; !err && i <= SZCNIC_CONTEXTS; i++)
		if (port->contexts[i])
			err = szcnic_context_up(port, port->contexts[i]);
	for (i = 0; !err && i < SZCNIC_RULES; i++)
		if (port->rules[i].used)
			err = szcnic_rule_up(port, &port->rules[i]);
	return err;
}

/* What was not let go of is then reset, so that nothing lives. */
static int rss_down(struct szcnic_port *port, struct szcnic_rss *rss)
{
	int err = rss ? szcnic_context_down(port, rss) : 0;

	if (err)
		rss->vnic.live = false;
	return err;
}

int szcnic_vnics_down(struct szcnic_port *port)
{
	int err = 0, i;

	for (i = 0; i < SZCNIC_RULES; i++) {
		err = szcnic_rule_down(port, &port->rules[i]) ?: err;
		port->rules[i].live = false;
	}
	for (i = 0; i < SZCNIC_QUEUES_MAX; i++) {
		err = vnic_free(port, &port->direct[i]) ?: err;
		port->direct[i].live = false;
	}
	for (i = 1; i <= SZCNIC_CONTEXTS; i++)
		err = rss_down(port, port->contexts[i]) ?: err;
	return rss_down(port, &port->rss) ?: err;
}

static bool rss_reaches(const struct szcnic_rss *rss, u16 queue)
{
	int i;

	for (i = 0; i < HW_INDIR_SIZE; i++)
		if (rss->indir[i] == queue)
			return true;
	return false;
}

static int rss_turn(struct szcnic_port *port, const struct szcnic_rss *rss, u16 queue, bool up)
{
	if (!rss || !rss->vnic.live || !rss_reaches(rss, queue))
		return 0;
	return up ? vnic_raise(port, &rss->vnic, rss, default_queue(rss)) : vnic_mru(port, &rss->vnic, 0);
}

static int direct_turn(struct szcnic_port *port, u16 queue, bool up)
{
	const struct szcnic_vnic *vnic = &port->direct[queue];

	if (!vnic->live)
		return 0;
	return up ? vnic_raise(port, vnic, NULL, queue) : vnic_mru(port, vnic, 0);
}

int szcnic_vnics_turn(struct szcnic_port *port, u16 queue, bool up)
{
	int err, i;

	err = rss_turn(port, &port->rss, queue, up);
	if (!err)
		err = direct_turn(port, queue, up);
	for (i = 1; !err && i <= SZCNIC_CONTEXTS; i++)
		err = rss_turn(port, port->contexts[i], queue, up);
	return err;
}

int szcnic_vnic_rss_apply(struct szcnic_port *port, struct szcnic_rss *rss)
{
	int err;

	if (!rss->vnic.live)
		return 0;
	err = vnic_table(port, rss);
	return err ?: vnic_default(port, &rss->vnic, default_queue(rss));
}

int szcnic_vnic_place_apply(struct szcnic_port *port)
{
	int err, i;

	err = vnic_place(port, &port->rss.vnic);
	for (i = 0; !err && i < SZCNIC_QUEUES_MAX; i++)
		if (port->direct[i].live)
			err = vnic_place(port, &port->direct[i]);
	for (i = 1; !err && i <= SZCNIC_CONTEXTS; i++)
		if (port->contexts[i] && port->contexts[i]->vnic.live)
			err = vnic_place(port, &port->contexts[i]->vnic);
	return err;
}
