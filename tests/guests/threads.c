/* Threads: atomic and locked counters, thread-local storage, condition variables, join and detach. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4 };

static atomic_long atomic_counter;
static long locked_counter, turns = 20000;
static _Thread_local long own;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int stage;

static void *work(void *argument) {
    for (long i = 0; i < turns; i++) {
        atomic_fetch_add(&atomic_counter, 1);
        pthread_mutex_lock(&lock);
        locked_counter++;
        pthread_mutex_unlock(&lock);
        own++;
    }
    return (void *)(own + (long)argument);
}

static void *answer(void *argument) {
    (void)argument;
    pthread_mutex_lock(&lock);
    while (stage != 1) pthread_cond_wait(&changed, &lock);
    stage = 2;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS], other;
    if (argc > 1) turns = atol(argv[1]);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i)) return 1;
    for (long i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("thread %ld: %d\n", i, (long)result == turns + i);
    }
    printf("atomic %ld locked %ld own %ld\n", (long)atomic_counter, locked_counter, own);
    pthread_create(&other, NULL, answer, NULL);
    pthread_mutex_lock(&lock);
    stage = 1;
    pthread_cond_broadcast(&changed);
    while (stage != 2) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    pthread_join(other, NULL);
    printf("stage %d\n", stage);
    return 0;
}
