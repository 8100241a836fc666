/* The sums of partition/cost.py in plain loops: periods of a batch of assignments on a one-directional ring with
   overlapped transfers and one kind of chip. For benchmarks/cost_model.py only. */
#include <stdint.h>
#include <string.h>

enum { MOST_CHIPS = 4096 };

void periods(int64_t batch, int64_t n, int64_t m, int64_t chips, const int64_t *assignment, const double *time,
             const double *tau, const int64_t *producer, const int64_t *consumer_ptr, const int64_t *consumers,
             double *period)
{
    static double compute[MOST_CHIPS], receive[MOST_CHIPS], send[MOST_CHIPS], link[2 * MOST_CHIPS + 1];
    static int64_t seen[MOST_CHIPS];
    int64_t stamp = 0;
    memset(seen, 0, sizeof seen);
    for (int64_t b = 0; b < batch; b++) {
        const int64_t *chip = assignment + b * n;
        for (int64_t c = 0; c < chips; c++)
            compute[c] = receive[c] = send[c] = 0;
        for (int64_t c = 0; c <= 2 * chips; c++)
            link[c] = 0;
        for (int64_t v = 0; v < n; v++)
            compute[chip[v]] += time[v];
        for (int64_t t = 0; t < m; t++) {
            int64_t home = chip[producer[t]], farthest = 0;
            stamp++;
            for (int64_t e = consumer_ptr[t]; e < consumer_ptr[t + 1]; e++) {
                int64_t c = chip[consumers[e]];
                if (c == home || seen[c] == stamp)
                    continue;
                seen[c] = stamp;
                receive[c] += tau[t];
                int64_t hops = c > home ? c - home : c - home + chips;
                if (hops > farthest)
                    farthest = hops;
            }
            if (farthest) {
                send[home] += tau[t];
                link[home] += tau[t];
                link[home + farthest] -= tau[t];
            }
        }
        double worst = 0, running = 0;
        for (int64_t c = 0; c < 2 * chips; c++) {
            running += link[c];
            link[c] = running;
        }
        for (int64_t c = 0; c < chips; c++) {
            double all[4] = {compute[c], receive[c], send[c], link[c] + link[c + chips]};
            for (int i = 0; i < 4; i++)
                if (all[i] > worst)
                    worst = all[i];
        }
        period[b] = worst;
    }
}
