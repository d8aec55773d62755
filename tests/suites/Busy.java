/* SPDX-License-Identifier: MIT
 *
 * Busy.java - for java.sh: work whose answers do not depend on time, and which makes the virtual
 * machine call malloc a lot: threads, direct buffers, inflate and deflate, classes, metaspace.
 */
import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Busy {
	static long objects(int seed) {
		Random random = new Random(seed);
		Map<Integer, byte[]> map = new HashMap<>();
		long sum = 0;
		for (int i = 0; i < 400_000; i++) {
			byte[] b = new byte[random.nextInt(i % 1000 == 0 ? 1_000_000 : 400) + 1];
			b[b.length - 1] = (byte) i;
			byte[] old = map.put(random.nextInt(5000), b);
			if (old != null)
				sum += old.length + old[old.length - 1];
		}
		return sum;
	}

	/* The virtual machine counts direct buffers until a thread of its own has cleaned them up, and waits half
	 * a second for that thread: too little on a busy machine.  What malloc refuses says otherwise. */
	static ByteBuffer allocate(int n) throws InterruptedException {
		for (int i = 0;; i++) {
			try {
				return ByteBuffer.allocateDirect(n);
			} catch (OutOfMemoryError e) {
				if (i == 100 || !e.getMessage().startsWith("Cannot reserve"))
					throw e;
				Thread.sleep(100);
			}
		}
	}

	static long direct(int seed) throws InterruptedException {
		Random random = new Random(seed);
		ByteBuffer[] held = new ByteBuffer[64];
		long sum = 0;
		for (int i = 0; i < 4000; i++) {
			int n = random.nextInt(200_000) + 8;
			ByteBuffer b = allocate(n);
			b.putLong(0, i);
			b.put(n - 1, (byte) i);
			ByteBuffer old = held[i % 64];
			if (old != null)
				sum += old.getLong(0) + old.get(old.capacity() - 1);
			held[i % 64] = b;
		}
		return sum;
	}

	static long zip(int seed) throws IOException {
		byte[] data = new byte[300_000];
		Random random = new Random(seed);
		for (int i = 0; i < data.length; i++)
			data[i] = (byte) (random.nextInt(8) + 'a');
		long sum = 0;
		for (int i = 0; i < 20; i++) {
			ByteArrayOutputStream bytes = new ByteArrayOutputStream();
			try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
				out.write(data, 0, data.length - i * 1000);
			}
			try (GZIPInputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes.toByteArray()))) {
				sum += in.readAllBytes().length + bytes.size();
			}
		}
		return sum;
	}

	/* The same 300 classes again and again, each time with a loader of its own, which is then unloaded. */
	static long classes() throws Exception {
		long sum = 0;
		URL[] here = { Path.of("classes").toUri().toURL() };
		for (int round = 0; round < 5; round++) {
			try (URLClassLoader loader = new URLClassLoader(here, null)) {
				for (int i = 1; i <= 300; i++) {
					Object o = loader.loadClass("C" + i).getConstructor(int.class).newInstance(i + round);
					sum += o.toString().hashCode();
				}
			}
			System.gc();
		}
		return sum;
	}

	/* Threads of a pool that is left alone would keep the process for ever. */
	public static void main(String[] args) {
		try {
			work();
		} catch (Throwable e) {
			e.printStackTrace();
			System.exit(1);
		}
	}

	static void work() throws Exception {
		ExecutorService pool = Executors.newFixedThreadPool(6);
		List<Future<Long>> answers = new ArrayList<>();
		for (int i = 0; i < 4; i++) {
			int seed = i;
			answers.add(pool.submit(() -> objects(seed)));
			answers.add(pool.submit(() -> direct(seed)));
			answers.add(pool.submit(() -> zip(seed)));
		}
		answers.add(pool.submit(Busy::classes));
		for (int i = 0; i < answers.size(); i++)
			System.out.println("answer " + i + " " + answers.get(i).get());
		pool.shutdown();
		Thread[] threads = new Thread[2000];
		ThreadLocal<byte[]> local = ThreadLocal.withInitial(() -> new byte[100]);
		java.util.concurrent.atomic.LongAdder adder = new java.util.concurrent.atomic.LongAdder();
		for (int i = 0; i < threads.length; i++)
			(threads[i] = new Thread(() -> adder.add(local.get().length))).start();
		for (Thread t : threads)
			t.join();
		System.out.println("threads " + adder.sum());
	}
}
