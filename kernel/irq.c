// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's interrupts: one a queue, with numbers, counts in /proc/interrupts, and an affinity that NAPI
 * follows. The device raises them wherever it runs; they arrive at the processor that the affinity names, by a call
 * from processor to processor where that is another one.
 *
 * Raised again before it arrived, an interrupt arrives once, and after both: whoever handles it finds what both
 * were for. An interrupt is made when its queue is first used, and stays as long as the port, so that its affinity
 * does, too.
 */
#include <linux/cpumask.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/smp.h>

#include "szcnic.h"

static irqreturn_t irq_handle(int virq, void *data)
{
	struct szcnic_rxq *rxq = data;

	napi_schedule(&rxq->napi);
	return IRQ_HANDLED;
}

static void irq_arrive(void *info)
{
	struct szcnic_rxq *rxq = info;

	clear_bit(0, &rxq->irq.raised);
	/* Before NAPI looks: what is raised after it has looked arrives anew. */
	smp_mb__after_atomic();
	generic_handle_irq_safe(rxq->irq.number);
}

void szcnic_irq(struct hw_port *hw, u16 queue)
{
	struct szcnic_port *port = container_of(hw, struct szcnic_port, hw);
	struct szcnic_irq *irq = &port->rxqs[queue].irq;
	int err;

	/*
	 * Both directions raise it, wherever they run, and a call has one owner: whoever sets the bit. This is a full
	 * barrier, set or not, so that what was published before is seen when it arrives.
	 */
	if (test_and_set_bit(0, &irq->raised))
		return;
	err = smp_call_function_single_async(READ_ONCE(irq->cpu), &irq->call);
	if (err == -ENXIO)
		err = smp_call_function_single_async(raw_smp_processor_id(), &irq->call);
	if (err)
		clear_bit(0, &irq->raised);
}

/* ---- what the kernel asks of a controller of interrupts */

static int irq_affinity(struct irq_data *data, const struct cpumask *mask, bool force)
{
	struct szcnic_rxq *rxq = irq_data_get_irq_chip_data(data);
	unsigned int cpu = cpumask_first_and(mask, cpu_online_mask);

	if (cpu >= nr_cpu_ids)
		return -EINVAL;
	WRITE_ONCE(rxq->irq.cpu, cpu);
	irq_data_update_effective_affinity(data, cpumask_of(cpu));
	return IRQ_SET_MASK_OK;
}

static struct irq_chip szcnic_irq_chip = {
	.name			= SZCNIC_NAME,
	.irq_set_affinity	= irq_affinity,
};

static int irq_map(struct irq_domain *domain, unsigned int number, irq_hw_number_t queue)
{
	struct szcnic_port *port = domain->host_data;

	irq_set_chip_and_handler(number, &szcnic_irq_chip, handle_simple_irq);
	irq_set_chip_data(number, &port->rxqs[queue]);
	irq_modify_status(number, IRQ_NOREQUEST | IRQ_NOAUTOEN, IRQ_NOPROBE);
	return 0;
}

static void irq_unmap(struct irq_domain *domain, unsigned int number)
{
	irq_set_chip_and_handler(number, NULL, NULL);
	irq_set_chip_data(number, NULL);
}

static const struct irq_domain_ops irq_domain_ops = {
	.map	= irq_map,
	.unmap	= irq_unmap,
};

/* ---- life */

int szcnic_irqs_init(struct szcnic_port *port)
{
	port->irqs = irq_domain_create_linear(NULL, port->max_channels, &irq_domain_ops, port);
	return port->irqs ? 0 : -ENOMEM;
}

static void irq_free(struct szcnic_rxq *rxq)
{
	struct szcnic_irq *irq = &rxq->irq;

	if (!irq->number)
		return;
	free_irq(irq->number, rxq);
	irq_dispose_mapping(irq->number);
	irq->number = 0;
}

void szcnic_irqs_destroy(struct szcnic_port *port)
{
	u32 i;

	szcnic_irqs_sync();
	for (i = 0; i < port->max_channels; i++)
		irq_free(&port->rxqs[i]);
	irq_domain_remove(port->irqs);
}

void szcnic_irqs_sync(void)
{
	/*
	 * A processor answers calls that wait, like the kick, before those that do not, like ours, and all of them with
	 * interrupts off, which a grace period outlasts.
	 */
	kick_all_cpus_sync();
	synchronize_rcu();
}

int szcnic_irq_use(struct szcnic_rxq *rxq)
{
	struct szcnic_irq *irq = &rxq->irq;
	int err;

	if (irq->number)
		return 0;
	snprintf(irq->name, sizeof(irq->name), "%s-%u", rxq->port->dev->name, rxq->index);
	INIT_CSD(&irq->call, irq_arrive, rxq);
	irq->number = irq_create_mapping(rxq->port->irqs, rxq->index);
	if (!irq->number)
		return -ENOMEM;
	irq_set_affinity(irq->number, cpumask_of(cpumask_local_spread(rxq->index, NUMA_NO_NODE)));
	err = request_irq(irq->number, irq_handle, IRQF_NO_THREAD, irq->name, rxq);
	if (err) {
		irq_dispose_mapping(irq->number);
		irq->number = 0;
	}
	return err;
}
