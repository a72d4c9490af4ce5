<?php
// A small and complete receiver of callbacks in PHP, without dependencies.
//
//     export CALLBACK_SECRET=whsec_... CALLBACK_FOLDER=callbacks
//     php -d post_max_size=50M -d memory_limit=256M -S 127.0.0.1:8080 receiver.php
//
// It verifies the signature of the raw body, stores each callback once in a folder by its
// webhook-id, and answers. Process the .json files with a program of your own, and rename each to
// .done afterwards: if the same callback comes again, it is recognized by that file. The .done
// files are removed once it can no longer come. In production, run this behind an HTTPS server.

declare(strict_types=1);

/**
 * How long to remember an id: the 60 hours that a batch lives, and a margin. Increase it if batches
 * of your service live longer (EXPIRY_HOURS).
 */
const REMEMBERED_HOURS = 60 + 12;

/** The key in a secret, or null if the secret is empty, too short or malformed. */
function key_of(string|false $secret): ?string
{
    $key = base64_decode(substr((string) $secret, strlen('whsec_')), true);
    $is_whole = $key !== false && $secret === 'whsec_' . base64_encode($key);
    return $is_whole && strlen($key) >= 24 && strlen($key) <= 64 ? $key : null;
}

/**
 * Whether exactly this body was signed with the secret in the last five minutes.
 * $headers: with names in lower case
 */
function is_genuine(array $headers, string $body, string|false $secret): bool
{
    $key = key_of($secret);
    $id = $headers['webhook-id'] ?? '';
    $sent_at = $headers['webhook-timestamp'] ?? '';
    if ($key === null || $id === '' || !preg_match('/^[0-9]{1,12}$/D', $sent_at)) {
        return false;
    }
    if (abs(time() - (int) $sent_at) > 300) {
        return false;
    }
    $hmac = hash_init('sha256', HASH_HMAC, $key);
    hash_update($hmac, "$id.$sent_at.");
    hash_update($hmac, $body);
    $wanted = 'v1,' . base64_encode(hash_final($hmac, true));
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $one) {
        if (hash_equals($wanted, $one)) {
            return true;
        }
    }
    return false;
}

/** Removes the .done files of callbacks that came too long ago to come again. */
function forget(string $folder): void
{
    foreach (glob("$folder/*.done") as $done) {
        if (@filemtime($done) < time() - REMEMBERED_HOURS * 3600) {
            @unlink($done); // another process may already have removed it
        }
    }
}

/** Stores a callback completely or not at all. If it is already there, nothing changes. */
function store(string $folder, string $id, string $body): void
{
    $name = $folder . '/' . rawurlencode($id);
    $unfinished = tempnam($folder, 'unfinished-');
    $is_written = file_put_contents($unfinished, $body) === strlen($body);
    touch($unfinished, time());
    $is_stored = $is_written
        && (is_file("$name.done") || @link($unfinished, "$name.json") || is_file("$name.json"));
    unlink($unfinished);
    if (!$is_stored) {
        throw new RuntimeException("$name.json cannot be written");
    }
}

$secret = getenv('CALLBACK_SECRET');
$folder = getenv('CALLBACK_FOLDER');
if (key_of($secret) === null || $folder === false || !is_dir($folder)) {
    http_response_code(500);
    error_log('Set CALLBACK_SECRET to a full secret, whsec_..., and CALLBACK_FOLDER to a folder.');
    exit;
}

$headers = array_change_key_case(getallheaders());
$body = file_get_contents('php://input');
if (!is_genuine($headers, $body, $secret)) {
    http_response_code(401);
    exit;
}
forget($folder);
store($folder, $headers['webhook-id'], $body);
http_response_code(204);
