// SPDX-License-Identifier: GPL-2.0
/*
 * Faults on demand, in debugfs. A write that cannot be understood is refused with EINVAL, one that asks for too much
 * with ERANGE; reading the file says what is left of what was asked for.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/idr.h>
#include <linux/seq_file.h>
#include <net/net_namespace.h>
#include <net/netdev_lock.h>
#include <net/netdev_rx_queue.h>

#include "szcnic.h"

#define COUNT_MAX	1000000
#define MSEC_MAX	60000
#define WORDS_MAX	3
#define LINE_MAX	64
#define OP_ANY		FW_OPS

/* Those before them have the names of the rules that they break. */
static const char *const more_mutations[] = { "geometry-agg", "napi-unacked", "free-unacked", "no-kick" };
static_assert(MUTATE_GEOMETRY_AGG == FW_RULES + 1);
static_assert(MUTATIONS == MUTATE_GEOMETRY_AGG + ARRAY_SIZE(more_mutations));

static struct dentry *folder;
static DEFINE_IDA(numbers);

/* ---- asked by the driver and the firmware */

static bool take_one(atomic_t *left)
{
	return atomic_read(left) > 0 && atomic_dec_if_positive(left) >= 0;
}

bool szcnic_fault_alloc(struct szcnic_port *port)
{
	if (!atomic_read(&port->faults.alloc_fail) || take_one(&port->faults.alloc_fail_skip))
		return false;
	return take_one(&port->faults.alloc_fail);
}

static bool op_meant(u32 wanted, u32 op)
{
	return wanted == OP_ANY || wanted == op;
}

int szcnic_fault_command(struct hw_port *hw, u32 op)
{
	struct szcnic_faults *faults = &container_of(hw, struct szcnic_port, hw)->faults;

	if (op_meant(READ_ONCE(faults->fw_delay_op), op) && take_one(&faults->fw_delay))
		msleep(READ_ONCE(faults->fw_delay_ms));
	if (!op_meant(READ_ONCE(faults->fw_refuse_op), op) || !atomic_read(&faults->fw_refuse))
		return 0;
	if (take_one(&faults->fw_refuse_skip))
		return 0;
	return take_one(&faults->fw_refuse) ? -EIO : 0;
}

bool szcnic_mutated(const struct szcnic_port *port, enum szcnic_mutation mutation)
{
	return READ_ONCE(port->faults.mutation) == mutation;
}

/* ---- what is written */

/* Cuts what a user wrote into words. Their number, or an error if there are fewer than `least` or more than `most`. */
static int read_words(char *line, const char __user *from, size_t count, char **words, int least, int most)
{
	char *rest = line, *word;
	int nr = 0;

	if (count >= LINE_MAX)
		return -EINVAL;
	if (copy_from_user(line, from, count))
		return -EFAULT;
	line[count] = '\0';
	if (strlen(line) != count)
		return -EINVAL;
	while ((word = strsep(&rest, " \t\n"))) {
		if (!*word)
			continue;
		if (nr == most)
			return -EINVAL;
		words[nr++] = word;
	}
	return nr < least ? -EINVAL : nr;
}

static int read_u32(const char *word, u32 most, u32 *value)
{
	int err = kstrtou32(word, 10, value);

	return err ? err : *value <= most ? 0 : -ERANGE;
}

static int read_op(const char *word, u32 *op)
{
	if (!strcmp(word, "all")) {
		*op = OP_ANY;
		return 0;
	}
	for (*op = 0; *op < FW_OPS; ++*op)
		if (!strcmp(word, fw_op_name(*op)))
			return 0;
	return -EINVAL;
}

static struct szcnic_port *port_of(struct file *file)
{
	return ((struct seq_file *)file->private_data)->private;
}

static const char *op_name(u32 op)
{
	return op == OP_ANY ? "all" : fw_op_name(op);
}

/* ---- alloc_fail, fw_refuse, fw_delay, mutate: reading them says what is left */

static int alloc_fail_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	seq_printf(seq, "%d %d\n", atomic_read(&port->faults.alloc_fail), atomic_read(&port->faults.alloc_fail_skip));
	return 0;
}

static ssize_t alloc_fail_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct szcnic_faults *faults = &port_of(file)->faults;
	char line[LINE_MAX], *words[WORDS_MAX];
	u32 failures, skip = 0;
	int err, nr;

	nr = read_words(line, from, count, words, 1, 2);
	if (nr < 0)
		return nr;
	err = read_u32(words[0], COUNT_MAX, &failures);
	if (!err && nr == 2)
		err = read_u32(words[1], COUNT_MAX, &skip);
	if (err)
		return err;
	atomic_set(&faults->alloc_fail, 0);
	atomic_set(&faults->alloc_fail_skip, skip);
	atomic_set_release(&faults->alloc_fail, failures);
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(alloc_fail);

static int fw_refuse_show(struct seq_file *seq, void *unused)
{
	struct szcnic_faults *faults = &((struct szcnic_port *)seq->private)->faults;

	seq_printf(seq, "%s %d %d\n", op_name(READ_ONCE(faults->fw_refuse_op)), atomic_read(&faults->fw_refuse),
		   atomic_read(&faults->fw_refuse_skip));
	return 0;
}

static ssize_t fw_refuse_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct szcnic_faults *faults = &port_of(file)->faults;
	char line[LINE_MAX], *words[WORDS_MAX];
	u32 op, refusals, skip = 0;
	int err, nr;

	nr = read_words(line, from, count, words, 2, 3);
	if (nr < 0)
		return nr;
	err = read_op(words[0], &op) ?: read_u32(words[1], COUNT_MAX, &refusals);
	if (!err && nr == 3)
		err = read_u32(words[2], COUNT_MAX, &skip);
	if (err)
		return err;
	atomic_set(&faults->fw_refuse, 0);
	WRITE_ONCE(faults->fw_refuse_op, op);
	atomic_set(&faults->fw_refuse_skip, skip);
	atomic_set_release(&faults->fw_refuse, refusals);
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(fw_refuse);

static int fw_delay_show(struct seq_file *seq, void *unused)
{
	struct szcnic_faults *faults = &((struct szcnic_port *)seq->private)->faults;

	seq_printf(seq, "%s %d %u\n", op_name(READ_ONCE(faults->fw_delay_op)), atomic_read(&faults->fw_delay),
		   READ_ONCE(faults->fw_delay_ms));
	return 0;
}

static ssize_t fw_delay_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct szcnic_faults *faults = &port_of(file)->faults;
	char line[LINE_MAX], *words[WORDS_MAX];
	u32 op, delays, msec;
	int err;

	err = read_words(line, from, count, words, 3, 3);
	if (err < 0)
		return err;
	err = read_op(words[0], &op) ?: read_u32(words[1], COUNT_MAX, &delays) ?: read_u32(words[2], MSEC_MAX, &msec);
	if (err)
		return err;
	atomic_set(&faults->fw_delay, 0);
	WRITE_ONCE(faults->fw_delay_op, op);
	WRITE_ONCE(faults->fw_delay_ms, msec);
	atomic_set_release(&faults->fw_delay, delays);
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(fw_delay);

static const char *mutation_name(u32 mutation)
{
	if (mutation >= MUTATE_GEOMETRY_AGG)
		return more_mutations[mutation - MUTATE_GEOMETRY_AGG];
	return mutation == MUTATE_NONE ? "none" : fw_rule_name(mutation - 1);
}

static int mutate_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	seq_printf(seq, "%s\n", mutation_name(READ_ONCE(port->faults.mutation)));
	return 0;
}

static ssize_t mutate_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct szcnic_port *port = port_of(file);
	char line[LINE_MAX], *words[WORDS_MAX];
	int err;

	err = read_words(line, from, count, words, 1, 1);
	if (err < 0)
		return err;
	for (u32 i = 0; i < MUTATIONS; i++) {
		if (strcmp(words[0], mutation_name(i)))
			continue;
		WRITE_ONCE(port->faults.mutation, i);
		return count;
	}
	return -EINVAL;
}
DEFINE_SHOW_STORE_ATTRIBUTE(mutate);

/* ---- lose_irq, stall, restart: of one queue */

/* "QUEUE NUMBER" or, without `number`, "QUEUE". */
static int read_queue(struct file *file, const char __user *from, size_t count, u32 *queue, u32 *number, u32 most)
{
	char line[LINE_MAX], *words[WORDS_MAX];
	int wanted = number ? 2 : 1;
	int err;

	err = read_words(line, from, count, words, wanted, wanted);
	if (err < 0)
		return err;
	err = read_u32(words[0], port_of(file)->max_channels - 1, queue);
	if (!err && number)
		err = read_u32(words[1], most, number);
	return err;
}

static int lose_irq_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	for (u32 i = 0; i < port->max_channels; i++)
		seq_printf(seq, "%u %d\n", i, atomic_read(&port->hw.rxqs[i].lose_irqs));
	return 0;
}

static ssize_t lose_irq_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	u32 queue, irqs;
	int err;

	err = read_queue(file, from, count, &queue, &irqs, COUNT_MAX);
	if (err)
		return err;
	atomic_set(&port_of(file)->hw.rxqs[queue].lose_irqs, irqs);
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(lose_irq);

static int stall_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	for (u32 i = 0; i < port->max_channels; i++) {
		long left = READ_ONCE(port->hw.rxqs[i].stalled_until) - jiffies;
		bool stalled = READ_ONCE(port->hw.rxqs[i].stalled_until) && left > 0;

		seq_printf(seq, "%u %u\n", i, stalled ? jiffies_to_msecs(left) : 0);
	}
	return 0;
}

static ssize_t stall_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct hw_rxq *rxq;
	unsigned long flags;
	u32 queue, msec;
	int err;

	err = read_queue(file, from, count, &queue, &msec, MSEC_MAX);
	if (err)
		return err;
	rxq = &port_of(file)->hw.rxqs[queue];
	spin_lock_irqsave(&rxq->lock, flags);
	rxq->stalled_until = jiffies + msecs_to_jiffies(msec);
	spin_unlock_irqrestore(&rxq->lock, flags);
	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(stall);

static int restart_show(struct seq_file *seq, void *unused)
{
	return 0;
}

/* What the kernel does to a queue that gets or loses a memory provider, without the provider. */
static ssize_t restart_write(struct file *file, const char __user *from, size_t count, loff_t *pos)
{
	struct net_device *dev = port_of(file)->dev;
	u32 queue;
	int err;

	err = read_queue(file, from, count, &queue, NULL, 0);
	if (err)
		return err;
	netdev_lock(dev);
	if (!netif_running(dev))
		err = -ENETDOWN;
	else if (queue >= dev->real_num_rx_queues)
		err = -ERANGE;
	else
		err = netdev_rx_queue_restart(dev, queue);
	netdev_unlock(dev);
	return err ?: count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(restart);

/* ---- violations, commands, wire, netdev: to read */

static int violations_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	for (u32 i = 0; i < FW_RULES; i++)
		seq_printf(seq, "%s %llu\n", fw_rule_name(i), fw_violations(port->hw.fw, i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(violations);

static int commands_show(struct seq_file *seq, void *unused)
{
	struct szcnic_port *port = seq->private;

	for (u32 i = 0; i < FW_OPS; i++)
		seq_printf(seq, "%s %llu\n", fw_op_name(i), fw_commands(port->hw.fw, i));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(commands);

static int wire_show(struct seq_file *seq, void *unused)
{
	struct hw_wire *wire = &((struct szcnic_port *)seq->private)->hw.wire;
	struct hw_wire_params params;
	struct hw_wire_stats stats;
	unsigned long flags;
	u32 queued;

	spin_lock_irqsave(&wire->lock, flags);
	params = wire->params;
	stats = wire->stats;
	queued = wire->queued_bytes;
	spin_unlock_irqrestore(&wire->lock, flags);

	seq_printf(seq, "rate %llu\ndelay %llu\nloss %u\nreorder %u\nduplicate %u\ncorrupt %u\n", params.rate,
		   params.delay_ns, params.loss, params.reorder, params.duplicate, params.corrupt);
	seq_printf(seq, "queued_bytes %u\nlost %llu\nreordered %llu\nduplicated %llu\ncorrupted %llu\n", queued,
		   stats.lost, stats.reordered, stats.duplicated, stats.corrupted);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(wire);

static int netdev_show(struct seq_file *seq, void *unused)
{
	struct net_device *dev = ((struct szcnic_port *)seq->private)->dev;

	rcu_read_lock();
	seq_printf(seq, "%s %d %u\n", dev->name, dev->ifindex, dev_net_rcu(dev)->ns.inum);
	rcu_read_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(netdev);

/* ---- coming and going */

void szcnic_faults_add(struct szcnic_port *port)
{
	char name[16];

	port->number = ida_alloc(&numbers, GFP_KERNEL);
	if (port->number < 0)
		return;
	snprintf(name, sizeof(name), "%d", port->number);
	port->debugfs = debugfs_create_dir(name, folder);
	debugfs_create_file("alloc_fail", 0600, port->debugfs, port, &alloc_fail_fops);
	debugfs_create_file("fw_refuse", 0600, port->debugfs, port, &fw_refuse_fops);
	debugfs_create_file("fw_delay", 0600, port->debugfs, port, &fw_delay_fops);
	debugfs_create_file("mutate", 0600, port->debugfs, port, &mutate_fops);
	debugfs_create_file("lose_irq", 0600, port->debugfs, port, &lose_irq_fops);
	debugfs_create_file("stall", 0600, port->debugfs, port, &stall_fops);
	debugfs_create_file("restart", 0600, port->debugfs, port, &restart_fops);
	debugfs_create_file("violations", 0400, port->debugfs, port, &violations_fops);
	debugfs_create_file("commands", 0400, port->debugfs, port, &commands_fops);
	debugfs_create_file("wire", 0400, port->debugfs, port, &wire_fops);
	debugfs_create_file("netdev", 0400, port->debugfs, port, &netdev_fops);
}

void szcnic_faults_remove(struct szcnic_port *port)
{
	debugfs_remove(port->debugfs);
	port->debugfs = NULL;
	if (port->number >= 0)
		ida_free(&numbers, port->number);
	port->number = -1;
}

void szcnic_faults_init(void)
{
	folder = debugfs_create_dir(SZCNIC_NAME, NULL);
}

void szcnic_faults_exit(void)
{
	debugfs_remove(folder);
	ida_destroy(&numbers);
}

MODULE_IMPORT_NS("NETDEV_INTERNAL");
