// SPDX-License-Identifier: MIT OR GPL-2.0
/* Wrong uses of memory, one per write to /sys/kernel/debug/misuse: for kernels under test, and nothing else. */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#define OBJECTS 8
#define SIZE 64

#ifndef SLAB_NO_MERGE /* before 6.5; caches with debugging are not merged either */
#define SLAB_NO_MERGE 0
#endif

static struct kmem_cache *cache;
static struct dentry *file;

static void misuse(const char *what, u8 *object)
{
	volatile u8 *bytes = object;

	if (!strcmp(what, "right")) {
		bytes[SIZE - 1] = 1;
		kmem_cache_free(cache, object);
	} else if (!strcmp(what, "after-end")) {
		bytes[SIZE] = 0x11;
		kmem_cache_free(cache, object);
	} else if (!strcmp(what, "before-start")) {
		bytes[-1] = 0x22;
		kmem_cache_free(cache, object);
	} else if (!strcmp(what, "after-free")) {
		kmem_cache_free(cache, object);
		bytes[SIZE / 2 + 8] = 0x33;
	} else if (!strcmp(what, "twice")) {
		kmem_cache_free(cache, object);
		kmem_cache_free(cache, object);
	} else if (strcmp(what, "lost")) {
		kmem_cache_free(cache, object);
		pr_warn("misuse: unknown: %s\n", what);
	}
}

static ssize_t one(struct file *unused, const char __user *text, size_t size, loff_t *at)
{
	char what[32] = "";
	void *object;

	if (size >= sizeof(what) || copy_from_user(what, text, size))
		return -EINVAL;
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	if (!object)
		return -ENOMEM;
	pr_info("misuse: %s of object %px\n", strim(what), object);
	misuse(strim(what), object);
	return size;
}

static const struct file_operations operations = { .owner = THIS_MODULE, .write = one };

static int __init start(void)
{
	cache = kmem_cache_create("misuse", SIZE, 0, SLAB_NO_MERGE, NULL);
	if (!cache)
		return -ENOMEM;
	file = debugfs_create_file("misuse", 0200, NULL, NULL, &operations);
	return 0;
}

static void __exit end(void)
{
	debugfs_remove(file);
	kmem_cache_destroy(cache);
}

module_init(start);
module_exit(end);
MODULE_DESCRIPTION("Wrong uses of memory, on purpose");
MODULE_LICENSE("Dual MIT/GPL");
